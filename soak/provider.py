"""The provider as a process of its own: ``python -m soak.provider``.

It is the provider server of the tests. What goes wrong is said in the question that it is asked.
"""

import json
import random
import re
import sys
import threading
import time

from tests.support.providers.exchange import Request
from tests.support.providers.exchange_log import ExchangeLog
from tests.support.providers.faults import Fault, FaultPlan
from tests.support.providers.transport import Transport

_ASKED = re.compile(rb"question (\d+-\d+-\d+-\d+), (\w+)")
_SECRET = re.compile(r"(soak|user)-\d+-\d+")
_STATUS = {"busy": 429, "refused": 500, "wrong": 400}
_MOST_KNOWN = 10_000


class Forgetful(ExchangeLog):
    """Keeps nothing, as hundreds of thousands of requests come in."""

    def open(self, request: Request) -> int:
        return 0


class _Pause(threading.Event):
    """Opens by itself after a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def wait(self, timeout: float | None = None) -> bool:
        time.sleep(self._seconds)
        return True


class AskedFaults(FaultPlan):
    """Does what the question says, and looks for ids of the application in every request."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        """What requests have told the provider, and must not."""
        self.requests = 0
        self._seen: dict[bytes, None] = {}

    def take(self, request: Request, *, mid_stream: bool) -> Fault | None:
        """Return what goes wrong, or raise an error, upon which the connection is closed."""
        found = _ASKED.search(request.raw)
        key, fault = (found[1], found[2].decode()) if found else (b"", "fine")
        rng = random.Random(key + request.path.encode())  # The same whenever it is asked.
        if mid_stream:
            events = rng.randrange(6)
            if fault == "cut":
                return Fault(500, 1, None, events, self._gate)
            pause = _Pause(rng.random() / 4)
            return Fault(None, 1, None, events, pause) if fault == "stalls" else None
        self.requests += 1
        self.told += [
            f"{name}: {text}" for name, text in request.headers.items() if _SECRET.search(text)
        ]
        time.sleep(rng.random() * (0.4 if fault == "slow" else 0.02))
        if fault == "dropped":
            raise ConnectionAbortedError
        is_first = key not in self._seen
        self._seen[key] = None
        if len(self._seen) > _MOST_KNOWN:
            self._seen.pop(next(iter(self._seen)))
        if fault in _STATUS and (is_first or fault != "busy"):
            return Fault(_STATUS[fault], 1, None, None, self._gate)
        return None


def main() -> None:
    """Serve until the input ends; print the address first, and what was wrong last."""
    faults = AskedFaults()
    transport = Transport(Forgetful(), faults)
    threading.Thread(target=transport.serve_forever, daemon=True).start()
    print(json.dumps(transport.server_address[1]), flush=True)
    sys.stdin.read()
    transport.shutdown()
    said = {"requests": faults.requests, "told": faults.told, "crashes": transport.crashes}
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
