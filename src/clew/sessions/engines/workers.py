"""Summarises batches in this process, or in several beside it."""

import signal
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Self

from clew.sessions.engines.summary import Rows, summarise
from clew.store.record import SpanRecord

Parts = Mapping[str, set[str]]
"""The traces of each part."""


class Workers:
    """Processes that summarise; with one, it is this one. A context manager."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def summaries(
        self,
        batches: Iterable[Parts],
        read: Callable[[Collection[str]], list[SpanRecord]],
    ) -> Iterator[tuple[Parts, Mapping[str, Rows]]]:
        """Yield each batch with the rows of its parts, given how to *read* the spans of traces."""
        if self._processes == 1:
            for parts in batches:
                yield parts, summarise(parts, read(_traces(parts)))
            return
        running: deque[tuple[Parts, Future[dict[str, Rows]]]] = deque()
        for parts in batches:
            if len(running) > self._processes:  # One is read while the others are at work.
                done, future = running.popleft()
                yield done, future.result()
            spans = read(_traces(parts))
            running.append((parts, self._submit(parts, spans)))
        while running:
            done, future = running.popleft()
            yield done, future.result()

    def _submit(self, parts: Parts, spans: list[SpanRecord]) -> Future[dict[str, Rows]]:
        if self._pool is None:
            # A fork would copy the driver's threads, which do not run in it.
            context = get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self._processes, mp_context=context, initializer=_leave_interrupts
            )
        return self._pool.submit(summarise, list(parts), spans)


def _leave_interrupts() -> None:
    """Ignore Ctrl-C, which a terminal sends to all processes: the first one ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _traces(parts: Parts) -> set[str]:
    return {trace for traces in parts.values() for trace in traces}
