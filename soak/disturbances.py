"""What happens to a process while it works, drawn from the seed."""

import contextvars
import gc
import json
import os
import random
import select
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from clew import instrument_all, stats, uninstrument_all, using_session
from soak.calls import CALLS, Provider
from soak.clock import CLOCK
from soak.disk import Disk
from soak.plan import OUTSIDE, Key, question

if TYPE_CHECKING:
    from soak.model import Model, Tracing
    from soak.orders import Orders

_FORK_LANE = 90
_CHILD_SECONDS = 60.0
_HOUR = 3600.0
_tracer = trace.get_tracer("soak.disturbances")


class Disturbances:
    """Collects garbage, sets the clock, flushes, forks, fills the disk, switches clew off."""

    def __init__(self, orders: "Orders", model: "Model", tracing: "Tracing", provider: Any) -> None:
        self._orders, self._model, self._tracing = orders, model, tracing
        self._provider = provider
        self._counts = model.counts
        self._rng = random.Random(f"{orders.seed}/{orders.number}/disturbances")
        self._forks = 0
        self._disk = Disk(Path(orders.disk), is_mounted=orders.disk_is_mounted)
        self._weights = {"gc": 8, "clock": 4, "flush": 3, "fork": 1}
        if orders.role == "flapping":
            self._weights["flap"] = 3
        if orders.disk:
            self._weights |= {"fill": 2, "free": 3}

    def run_until(self, until: float, work: threading.Event) -> None:
        """Disturb until then, or until the *work* is done."""
        for what, pause in self._drawn():
            if work.wait(min(pause, max(0.0, until - monotonic()))) or monotonic() >= until:
                break
            self._counts.add(f"times {what}")
            getattr(self, what)()
        if self._orders.disk:
            self._disk.free()
        CLOCK.jump(0)

    def _drawn(self) -> Iterator[tuple[str, float]]:
        while True:
            (what,) = self._rng.choices(list(self._weights), list(self._weights.values()))
            yield what, self._rng.random() / 2

    def gc(self) -> None:
        gc.collect(self._rng.randrange(3))

    def clock(self) -> None:
        CLOCK.jump(self._rng.choice([0, self._rng.gauss(0, 10), self._rng.gauss(0, 100 * _HOUR)]))

    def fill(self) -> None:
        self._disk.fill()

    def free(self) -> None:
        self._disk.free()

    def flush(self) -> None:
        """See that a flush leaves no span that has ended before."""
        ended = self._model.ended
        is_flushed = self._provider.force_flush(10_000)
        if is_flushed and (found := accounted()):
            behind = {name: number for name, number in found.items() if number < ended}
            if behind:
                self._counts.add("lost", f"flushed, with {ended} ended and {behind} accounted for")

    def flap(self) -> None:
        """Switch clew off and on again, some times."""
        for _ in range(self._rng.randrange(1, 4)):
            self._tracing.period += 1
            uninstrument_all()
            threading.Event().wait(self._rng.random() / 10)  # Some calls are made without clew.
            instrument_all()
            self._tracing.period += 1
        threading.Event().wait(self._rng.random() * 2)  # And some with it, from beginning to end.

    def fork(self) -> None:
        """Fork inside a block. The child works on in it, and reports what it has counted."""
        self._forks += 1
        key = Key(self._orders.number, _FORK_LANE, self._forks)
        session, user = key.ids
        reading, writing = os.pipe()
        with (
            using_session(session, user_id=user),
            _tracer.start_as_current_span("fork", attributes={"asked": question(key)}),
        ):
            child = os.fork()
            if child == 0:
                os.close(reading)
                self._in_child(key, writing)
        os.close(writing)
        self._wait_for(child, reading, key)

    def _in_child(self, key: Key, writing: int) -> None:
        code = 1
        try:
            self._model.forget()
            provider = Provider(self._orders.port)
            for framework, name in (("openai", "call chat"), ("bedrock", "call converse")):
                if framework in CALLS:
                    self._counts.add("calls")
                    asked = {"asked": question(key)}
                    with _tracer.start_as_current_span("child", attributes=asked):
                        CALLS[framework][name](provider, question(key))
            contextvars.Context().run(_make_span_outside, key._replace(part=OUTSIDE))
            self._provider.force_flush(10_000)
            self._model.finish()
            os.write(writing, json.dumps(self._counts.as_dict()).encode())
            code = 0
        finally:
            os._exit(code)

    def _wait_for(self, child: int, reading: int, key: Key) -> None:
        readable, _, _ = select.select([reading], [], [], _CHILD_SECONDS)
        with os.fdopen(reading, "rb") as pipe:
            if readable:
                said = pipe.read()
            else:
                os.kill(child, signal.SIGUSR1)  # It says where it is.
                threading.Event().wait(1)
                os.kill(child, signal.SIGKILL)
                said = b""
        _, status = os.waitpid(child, 0)
        if status or not said:
            self._counts.add("crashed", f"the child {key} ended with the status {status}")
        else:
            self._counts.merge(json.loads(said), f"the child {key}")


def accounted() -> dict[str, int]:
    """Return for each exporter how many spans it has exported or dropped."""
    return {it.exporter: it.exported + sum(it.dropped.values()) for it in stats().exporters}


def _make_span_outside(key: Key) -> None:
    _tracer.start_span("outside", attributes={"asked": question(key)}).end()
