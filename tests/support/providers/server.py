"""The provider server as tests use it."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from tests.support.providers.exchange import Exchange, Usage
from tests.support.providers.exchange_log import ExchangeLog
from tests.support.providers.faults import FaultPlan
from tests.support.providers.transport import Transport


class ProviderServer:
    """OpenAI, Mistral and Bedrock on one loopback port, for use as a context manager."""

    def __init__(self) -> None:
        self._exchange_log = ExchangeLog()
        self._faults = FaultPlan()
        self._transport = Transport(self._exchange_log, self._faults)
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Serve from a daemon thread. Starting twice is the same as starting once."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._transport.serve_forever,
                kwargs={"poll_interval": 0.01},
                name="provider-server",
                daemon=True,
            )
            self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving and drop every connection, hanging ones included."""
        self._transport.closing.set()
        self._faults.release()
        if self._thread is not None:
            self._transport.shutdown()
            self._thread.join()
            self._thread = None
        self._transport.server_close()
        self._transport.drop_connections()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if self._transport.crashes and error is None:
            message = "the provider server itself failed:\n" + "\n".join(self._transport.crashes)
            raise RuntimeError(message)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._transport.server_address[1]}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def mistral_url(self) -> str:
        return self.url

    @property
    def bedrock_url(self) -> str:
        return self.url

    @property
    def exchanges(self) -> list[Exchange]:
        """A snapshot of all exchanges so far, in the order in which the requests came."""
        return self._exchange_log.exchanges

    @property
    def usage(self) -> Usage:
        """The sum of the usage blocks sent for model calls. Embeddings are not in it."""
        return sum((one.usage for one in self.exchanges if one.usage), Usage())

    @property
    def embedding_tokens(self) -> int:
        """The sum of the tokens stated for embeddings."""
        return self._exchange_log.embedding_tokens

    def wait_for(self, count: int, timeout: float = 10.0) -> bool:
        """Wait until so many requests have come in: lets a test cancel a call it knows arrived."""
        return self._exchange_log.wait_for(count, timeout)

    def clear(self) -> None:
        """Forget exchanges, usage and faults."""
        self._faults.clear()
        self._exchange_log.clear()

    def fail(
        self,
        status: int,
        *,
        times: int = 1,
        path: str | None = None,
        after_events: int | None = None,
    ) -> None:
        """Answer the next ``times`` requests whose path contains ``path`` with an error.

        With ``after_events`` the fault waits for requests answered by a stream: they get a 200,
        that many events, and then the stream breaks off the way the provider's streams do.
        """
        self._faults.add(status, times, path, after_events)

    def hang(
        self, *, times: int = 1, path: str | None = None, after_events: int | None = None
    ) -> None:
        """Accept the next ``times`` matching requests and leave them unanswered until released.

        With ``after_events`` a stream stops after that many events, and goes on when released.
        """
        self._faults.add(None, times, path, after_events)

    def release(self) -> None:
        """Answer what hangs, where the client is still there, and let nothing hang any more.

        On return it is settled, and on record, which of the hanging requests are answered.
        """
        self._faults.release()
