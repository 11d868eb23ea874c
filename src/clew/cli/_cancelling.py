"""Ctrl-C cancels the question that an engine is asked, and a slow one is said to be at work."""

import signal
import socket
import sys
from _thread import interrupt_main
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread, current_thread, main_thread
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import click

from clew.cli import _terminal
from clew.core.containment import contain
from clew.core.errors import ClewError

if TYPE_CHECKING:
    from clew.sessions.engines.engine import Engine

_SECONDS = 0.2
"""Between two looks at the question; and between two tries to cancel it."""
_FIRST_LINE, _LONGER = 1.0, 2.0
"""Seconds until the first line about a question; each further one comes so many times later."""
_PATIENCE = 1.0
"""Seconds that the end of a command waits for a try to cancel that has no answer yet."""
_STATUS = 128 + signal.SIGINT


class CancelledError(click.ClickException):
    """Ctrl-C has ended the command."""

    exit_code = _STATUS

    def show(self, file: Any = None) -> None:
        """Print one line."""
        _terminal.write(self.message, err=True)


class Watch:
    """A thread beside the questions of a command."""

    def __init__(self) -> None:
        self.engines: list[Engine] = []
        """Those that are asked; whoever opens one adds it."""
        self.is_interrupted = False
        self._is_given_up = False

    def start(self) -> None:
        """Begin to watch."""
        # Python's handlers of signals do not run while a driver written in C is at work; a byte is
        # written at once.
        signals, self._written = socket.socketpair()
        self._written.settimeout(0)
        signals.settimeout(_SECONDS)
        self._thread = Thread(target=self._watch, args=[signals], daemon=True)
        self._fd = signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        self._handler = signal.signal(signal.SIGINT, self._interrupted)
        self._thread.start()

    def stop(self) -> None:
        """Leave signals to who had them before."""
        signal.signal(signal.SIGINT, self._handler)
        signal.set_wakeup_fd(self._fd)
        self._written.close()
        # An engine that does not answer may not answer that it cancels either.
        self._thread.join(_PATIENCE)

    @property
    def asked(self) -> "Engine | None":
        """The engine whose answer is waited for."""
        return next((it for it in list(self.engines) if it.is_asked), None)

    def _interrupted(self, *_: int | FrameType | None) -> None:
        """Have the question cancelled; without one, or the second time, end at once."""
        if self.is_interrupted or self.asked is None:
            self.is_interrupted = True
            raise KeyboardInterrupt
        self.is_interrupted = True

    def _watch(self, signals: socket.socket) -> None:
        since: float | None = None
        line = _FIRST_LINE
        cancelling = False
        with signals:
            while (received := _received(signals)) is not None:
                cancelling = cancelling or signal.SIGINT in received
                engine = self.asked
                if engine is None:
                    since, line = None, _FIRST_LINE
                elif cancelling:
                    # Again and again, as a question may be just about to begin.
                    self._cancel(engine)
                else:
                    since = monotonic() if since is None else since
                    seconds = monotonic() - since
                    if seconds >= line and sys.stderr.isatty():
                        _tell(engine, seconds)
                        line = seconds * _LONGER

    def _cancel(self, engine: "Engine") -> None:
        """Cancel the question; where that fails in a way nobody knows, end without it."""
        try:
            with suppress(ClewError):
                engine.cancel()
        except Exception:
            if engine.is_asked and not self._is_given_up:
                self._is_given_up = True
                _interrupt_main()
            contain("cancelling what an engine is asked")


def _interrupt_main() -> None:
    """Do as the second Ctrl-C does, which also ends the wait for an answer over the network."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(cast("int", main_thread().ident), signal.SIGINT)
    else:
        interrupt_main()


def _received(signals: socket.socket) -> bytes | None:
    """Return the numbers of the signals that came; None when the watch is to end."""
    try:
        return signals.recv(16) or None
    except TimeoutError:
        return b""


def _tell(engine: "Engine", seconds: float) -> None:
    try:
        share = engine.share_done()
    except Exception:
        share = 0.0
        contain("asking an engine how far it is")
    done = f" {share:.0%} done," if share else ""
    line = f"{engine.name} is at work:{done} {seconds:.0f} s; Ctrl-C cancels it"
    _terminal.write(line, err=True)


@contextmanager
def cancellable() -> Iterator[Watch]:
    """Have Ctrl-C cancel what engines are asked in this block; it then raises `CancelledError`."""
    watch = Watch()
    watched = current_thread() is main_thread() and _has_ordinary_handler()
    if watched:
        watch.start()
    try:
        yield watch
    except (KeyboardInterrupt, ClewError) as error:
        if not watch.is_interrupted:
            raise
        message = "Cancelled: the question is not asked any more, and nothing was printed."
        raise CancelledError(message) from error
    finally:
        if watched:
            watch.stop()


def _has_ordinary_handler() -> bool:
    """Whether Ctrl-C does what it always does, and is not ignored, or handled by a program."""
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler
