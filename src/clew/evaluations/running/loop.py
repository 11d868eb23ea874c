"""The event loop in which `evaluate` works: one for a process, in a thread of its own.

An asynchronous client keeps its connections open, and they belong to the loop in which they were
made. So every run works in the same one, also a run that is begun where another loop is running, as
in a notebook.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import Context
from threading import Thread, current_thread
from typing import Any, TypeVar

T = TypeVar("T")
_SECONDS_BETWEEN_SIGNALS = 0.2
"""How often a thread that waits looks whether it was interrupted."""


def let_block(concurrency: int) -> None:
    """Let so many functions that block run at the same time in the event loop that is running.

    Its own executor has few threads where there are few processors.
    """
    executor = ThreadPoolExecutor(concurrency, "clew-evaluator")
    asyncio.get_running_loop().set_default_executor(executor)


def run_to_the_end(work: Coroutine[Any, Any, T], concurrency: int) -> T:
    """Return what *work* returns. If this thread is interrupted, the work is cancelled."""
    mine = next((it for it in _loops if it.thread is current_thread()), None)
    if mine is None:
        return _free_loop().run(work, concurrency)
    mine.is_waiting = True  # An evaluator that is asynchronous lets others evaluate.
    try:
        return _free_loop().run(work, concurrency)
    finally:
        mine.is_waiting = False


class _Loop:
    """A loop that runs until the process ends."""

    def __init__(self) -> None:
        self.is_waiting = False
        """Whether its thread waits for what is done in another one."""
        self.process = os.getpid()
        self.thread = Thread(target=self._run_on, name="clew-evaluate", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._concurrency = 0
        Context().run(self.thread.start)  # It belongs to nobody's session.

    def run(self, work: Coroutine[Any, Any, T], concurrency: int) -> T:
        """Return what *work* returns, in which so many functions may block."""
        made = Future[T]()
        started = Future[Callable[[], object]]()

        async def whole() -> None:
            task: Any = asyncio.current_task()
            started.set_result(lambda: self._loop.call_soon_threadsafe(task.cancel))
            if concurrency > self._concurrency:
                self._concurrency = concurrency
                let_block(concurrency)
            try:
                made.set_result(await work)
            except BaseException as error:
                made.set_exception(error)

        tasks = list[object]()  # The loop itself does not keep a task.
        # With the variables of this context, which are copied here.
        self._loop.call_soon_threadsafe(lambda: tasks.append(self._loop.create_task(whole())))
        try:
            while not made.done():  # Ctrl-C may reach another thread, and on Windows wakes none.
                wait([made], _SECONDS_BETWEEN_SIGNALS)
        except BaseException:
            # The work would go on, and ask models, unseen.
            started.result()()
            wait([made])
            raise
        return made.result()

    def _run_on(self) -> None:
        while True:
            # What ends a program ends a task as well, which tells whoever waits for it.
            with suppress(KeyboardInterrupt, SystemExit):
                self._loop.run_forever()


_loops = list[_Loop]()


def _free_loop() -> _Loop:
    """Return the loop of this process: a forked one has not got the threads of its parent."""
    for it in _loops:
        if it.process == os.getpid() and not it.is_waiting:
            return it
    _loops.append(_Loop())
    return _loops[-1]
