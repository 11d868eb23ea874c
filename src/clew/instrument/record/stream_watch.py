"""Watches a stream of events: whether it is read to its end, fails, or is left before.

The stream remains the SDK's own object, all of its attributes and its class included; only the
class is exchanged for a subclass that tells a watcher. Whoever forgets the stream forgets the
watcher with it, which then knows as well.

The span of a stream that was read to its end is OK, and that of one which fails, or whose reader is
cancelled, is an error. One that is left, by ``break``, by closing it or by letting go of it, is
neither: its status is unset, as upstream's is.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from opentelemetry.trace import Status, StatusCode

from clew.core.containment import contain


class Watcher:
    """Told of each event of a stream, and once of its end."""

    ended = False

    def event(self, event: Any) -> None:
        """Take note of an event that was read. Does not raise."""
        try:
            self.take(event)
        except Exception:
            contain("reading an event of a stream")

    def end(self, error: BaseException | None = None, *, complete: bool = False) -> None:
        """Take note of the end, the first time. Does not raise."""
        if self.ended:
            return
        self.ended = True
        try:
            self.finish(error, complete=complete)
        except Exception:
            contain("ending the span of a call")

    def __del__(self) -> None:
        self.end()

    def take(self, event: Any) -> None:
        """Do what is to be done about an event."""

    def finish(self, error: BaseException | None, *, complete: bool) -> None:
        """Do what is to be done at the end.

        It came about by *error* if that is given; otherwise *complete* says whether everything
        was read.
        """


def status(error: BaseException | None, *, complete: bool) -> Status:
    """Return the status of the span of a stream that ended like this."""
    if error is not None:
        return Status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
    return Status(StatusCode.OK if complete else StatusCode.UNSET)


def is_stream(answer: Any) -> bool:
    """Whether *answer* is read event by event."""
    return hasattr(answer, "__next__") or hasattr(answer, "__anext__")


def watched(stream: Any, watcher: Watcher) -> Any:
    """Return *stream*, of which *watcher* is told from now on."""
    try:
        stream._clew_watcher = watcher  # noqa: SLF001 - an attribute of clew's own
        stream.__class__ = _watched_class(stream.__class__)
    except Exception:
        contain("watching a stream")
        watcher.end()
    return stream


def _given_up(error: BaseException | None) -> BaseException | None:
    """Return what went wrong: not that nobody wants to read on."""
    return None if isinstance(error, GeneratorExit) else error


@lru_cache(maxsize=64)
def _watched_class(cls: Any) -> Any:
    """Return a subclass of *cls* that tells.

    It has no other base, or Python would not let an object take its class.
    """
    made = _async(cls) if hasattr(cls, "__anext__") else _sync(cls)
    made.__name__, made.__qualname__ = cls.__name__, cls.__qualname__
    made.__module__, made.__doc__ = cls.__module__, cls.__doc__
    return made


def _sync(cls: Any) -> Any:
    closing = _first(cls, "close", "__exit__")

    class Watched(cls):  # type: ignore[misc]  # the SDK's class, whichever it is
        _clew_watcher: Watcher

        def __next__(self) -> Any:
            try:
                event = super().__next__()
            except StopIteration:
                self._clew_watcher.end(complete=True)
                raise
            except BaseException as error:
                self._clew_watcher.end(_given_up(error))
                raise
            self._clew_watcher.event(event)
            return event

        def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
            self._clew_watcher.end(_given_up(error))  # Before it is closed for that reason.
            return super().__exit__(kind, error, trace)

        def close(self) -> Any:  # Upstream's stream has it with every release of an SDK.
            self._clew_watcher.end()
            return closing(self)

    return Watched


def _async(cls: Any) -> Any:
    closing = _first(cls, "aclose", "close", "__aexit__")

    class Watched(cls):  # type: ignore[misc]  # as above
        _clew_watcher: Watcher

        async def __anext__(self) -> Any:
            try:
                event = await super().__anext__()
            except StopAsyncIteration:
                self._clew_watcher.end(complete=True)
                raise
            except BaseException as error:
                self._clew_watcher.end(_given_up(error))
                raise
            self._clew_watcher.event(event)
            return event

        async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
            self._clew_watcher.end(_given_up(error))  # Before it is closed for that reason.
            return await super().__aexit__(kind, error, trace)

        async def aclose(self) -> None:  # Upstream returns an asynchronous generator, which has it.
            self._clew_watcher.end()
            await closing(self)

        async def close(self) -> Any:
            self._clew_watcher.end()
            return await super().close()

    if not hasattr(cls, "close"):  # Not every release of an SDK has it.
        del Watched.close
    return Watched


def _first(cls: Any, *names: str) -> Callable[[Any], Any]:
    """Return what closes a stream of class *cls*: the first of its methods of these names."""
    name = next(name for name in names if hasattr(cls, name))
    method = getattr(cls, name)
    if name.startswith("__"):
        return lambda stream: method(stream, None, None, None)
    return cast("Callable[[Any], Any]", method)
