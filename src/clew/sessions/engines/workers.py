"""Summarises batches in this process, or in several beside it."""

import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from subprocess import PIPE, Popen
from typing import IO, Self, cast

from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.summary import Rows, summarise
from clew.store.record import SpanRecord

Parts = Mapping[str, set[str]]
"""The traces of each part."""
_READY = b"clew: ready to summarise\n"
"""What comes before the first answer. Before it may stand what is printed when Python starts."""


class Workers:
    """Processes that summarise; with one, it is this one. A context manager."""

    def __init__(self, processes: int) -> None:
        self._processes = processes if sys.executable else 1
        self._pool: ThreadPoolExecutor | None = None
        self._started: list[_Process] = []
        self._free: SimpleQueue[_Process] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.end()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        for process in self._started:
            process.close()

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
            self._pool = ThreadPoolExecutor(self._processes)
        if len(self._started) < self._processes:
            self._started.append(_Process())
            self._free.put(self._started[-1])
        return self._pool.submit(self._summarise, list(parts), spans)

    def _summarise(self, parts: list[str], spans: list[SpanRecord]) -> dict[str, Rows]:
        # There are as many threads as processes, or as batches if they are fewer.
        process = self._free.get()
        try:
            return process.summarise(parts, spans)
        finally:
            self._free.put(process)


class _Process:
    """A process that is given spans, and answers with rows.

    It is none of `multiprocessing`, which runs the application's own script again in each. Nor is
    it a fork, which would copy the driver's threads, that do not run in it.
    """

    def __init__(self) -> None:
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
        self._process = Popen([sys.executable, "-c", code], stdin=PIPE, stdout=PIPE)
        self._is_ready = False

    def summarise(self, parts: list[str], spans: list[SpanRecord]) -> dict[str, Rows]:
        """Return what `summarise` does; raise an error if the process ends instead."""
        given = cast("IO[bytes]", self._process.stdin)
        answers = cast("IO[bytes]", self._process.stdout)
        try:
            pickle.dump((parts, spans), given, pickle.HIGHEST_PROTOCOL)
            given.flush()
            while not self._is_ready:
                self._is_ready = _line(answers) == _READY
            answer: dict[str, Rows] = pickle.load(answers)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self.end()
            message = (
                "a process that summarises sessions has ended with the status "
                f"{self._process.returncode}; what was done before is kept"
            )
            raise EngineError(message) from error
        return answer

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the pipes, from which no thread may be reading."""
        with suppress(OSError):  # What it was still to be given.
            cast("IO[bytes]", self._process.stdin).close()
        cast("IO[bytes]", self._process.stdout).close()


def _line(answers: IO[bytes]) -> bytes:
    line = answers.readline()
    if not line:
        raise EOFError
    return line


def serve() -> None:
    """Summarise what comes on the standard input, until it ends."""
    # A terminal sends Ctrl-C to all processes: the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("wb") as nothing:  # What is printed must not be mixed with answers.
        os.dup2(nothing.fileno(), 1)
    answers.write(b"\n" + _READY)
    answers.flush()
    while True:
        try:
            parts, spans = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(summarise(parts, spans), answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


def _traces(parts: Parts) -> set[str]:
    return {trace for traces in parts.values() for trace in traces}
