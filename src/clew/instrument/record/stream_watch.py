"""Watches a stream of events: whether it is read to its end, fails, or is abandoned.

The stream stays the SDK's own object with all of its attributes. Only its class is replaced, by a
subclass that calls a watcher. When the stream is garbage collected, so is the watcher, which then
ends the span.

The span of a stream that was read to its end is OK. That of one which fails, or whose reader is
cancelled, is an error. If the stream is abandoned, by ``break``, by closing it or by dropping it,
the status is unset, as upstream's is.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from opentelemetry.trace import Status, StatusCode

from clew.core.containment import contain


class Watcher:
    """Called for each event of a stream, and once for its end."""

    ended = False

    def on_event(self, event: Any) -> None:
        """Handle an event that was read. Does not raise."""
        try:
            self.handle_event(event)
        except Exception:
            contain("reading an event of a stream")

    def end(self, error: BaseException | None = None, *, complete: bool = False) -> None:
        """Handle the end, if it has not ended already. Does not raise."""
        if self.ended:
            return
        self.ended = True
        try:
            self.handle_end(error, complete=complete)
        except Exception:
            contain("ending the span of a call")

    def __del__(self) -> None:
        self.end()

    def handle_event(self, event: Any) -> None:
        """Handle an event; a subclass overrides this."""

    def handle_end(self, error: BaseException | None, *, complete: bool) -> None:
        """Handle the end; a subclass overrides this.

        *error* is what ended the stream, if anything was raised; otherwise *complete* tells whether
        everything was read.
        """


def stream_status(error: BaseException | None, *, complete: bool) -> Status:
    """Return the status for the span of a stream that ended like this."""
    if error is not None:
        return Status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
    return Status(StatusCode.OK if complete else StatusCode.UNSET)


def is_stream(response: Any) -> bool:
    """Whether *response* is an iterator of events, synchronous or asynchronous."""
    return hasattr(response, "__next__") or hasattr(response, "__anext__")


def watch(stream: Any, watcher: Watcher) -> Any:
    """Call *watcher* for the events and the end of *stream* from now on; return *stream*."""
    try:
        stream._clew_watcher = watcher  # noqa: SLF001 - clew's own attribute
        stream.__class__ = _watched_class(stream.__class__)
    except Exception:
        contain("wrapping a stream")
        watcher.end()
    return stream


def _failure(error: BaseException | None) -> BaseException | None:
    """Return *error*, unless it only means that the reader has stopped."""
    return None if isinstance(error, GeneratorExit) else error


@lru_cache(maxsize=64)
def _watched_class(cls: Any) -> Any:
    """Return a subclass of *cls* that calls the watcher of the stream.

    It has no other base, as Python then would not let it become the class of an object.
    """
    subclass = _async_class(cls) if hasattr(cls, "__anext__") else _sync_class(cls)
    subclass.__name__, subclass.__qualname__ = cls.__name__, cls.__qualname__
    subclass.__module__, subclass.__doc__ = cls.__module__, cls.__doc__
    return subclass


def _sync_class(cls: Any) -> Any:
    close_stream = _close_method(cls, "close", "__exit__")

    class Watched(cls):  # type: ignore[misc]  # the SDK's class, whichever it is
        _clew_watcher: Watcher

        def __next__(self) -> Any:
            try:
                event = super().__next__()
            except StopIteration:
                self._clew_watcher.end(complete=True)
                raise
            except BaseException as error:
                self._clew_watcher.end(_failure(error))
                raise
            self._clew_watcher.on_event(event)
            return event

        def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
            self._clew_watcher.end(_failure(error))  # `super` closes without *error*.
            return super().__exit__(kind, error, trace)

        def close(self) -> Any:  # Upstream's stream has it, whatever the SDK's release.
            self._clew_watcher.end()
            return close_stream(self)

    return Watched


def _async_class(cls: Any) -> Any:
    close_stream = _close_method(cls, "aclose", "close", "__aexit__")

    class Watched(cls):  # type: ignore[misc]  # as above
        _clew_watcher: Watcher

        async def __anext__(self) -> Any:
            try:
                event = await super().__anext__()
            except StopAsyncIteration:
                self._clew_watcher.end(complete=True)
                raise
            except BaseException as error:
                self._clew_watcher.end(_failure(error))
                raise
            self._clew_watcher.on_event(event)
            return event

        async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
            self._clew_watcher.end(_failure(error))  # `super` closes without *error*.
            return await super().__aexit__(kind, error, trace)

        async def aclose(self) -> None:  # Upstream returns an asynchronous generator, which has it.
            self._clew_watcher.end()
            await close_stream(self)

        async def close(self) -> Any:
            self._clew_watcher.end()
            return await super().close()

    if not hasattr(cls, "close"):  # Not every release of an SDK has it.
        del Watched.close
    return Watched


def _close_method(cls: Any, *names: str) -> Callable[[Any], Any]:
    """Return the method that closes a stream of class *cls*: the first of *names* that it has."""
    name = next(name for name in names if hasattr(cls, name))
    method = getattr(cls, name)
    if name.startswith("__"):
        return lambda stream: method(stream, None, None, None)
    return cast("Callable[[Any], Any]", method)
