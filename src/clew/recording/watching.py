"""What becomes of a stream of events: read, read to its end, failed, closed or forgotten.

The stream remains the SDK's own object, all of its attributes and its class included; only the
class is exchanged for a subclass that tells a watcher. Whoever forgets the stream forgets the
watcher with it, which then knows as well.
"""

from functools import lru_cache
from typing import Any

from clew.boundary import contain


class Watcher:
    """Told of each event of a stream, and once of its end."""

    ended = False

    def event(self, event: Any) -> None:
        """Take note of an event that was read. Does not raise."""
        try:
            self.take(event)
        except Exception:  # noqa: BLE001 - the boundary to the application
            contain("reading an event of a stream")

    def end(self, error: BaseException | None = None) -> None:
        """Take note of the end, the first time. Does not raise."""
        if self.ended:
            return
        self.ended = True
        try:
            self.finish(error)
        except Exception:  # noqa: BLE001 - the boundary to the application
            contain("ending the span of a call")

    def __del__(self) -> None:
        self.end()

    def take(self, event: Any) -> None:
        """Do what is to be done about an event."""

    def finish(self, error: BaseException | None) -> None:
        """Do what is to be done at the end, which *error* brought about if it is given."""


def is_stream(answer: Any) -> bool:
    """Whether *answer* is read event by event."""
    return hasattr(answer, "__next__") or hasattr(answer, "__anext__")


def watched(stream: Any, watcher: Watcher) -> Any:
    """Return *stream*, of which *watcher* is told from now on."""
    try:
        stream._clew_watcher = watcher  # noqa: SLF001 - an attribute of clew's own
        stream.__class__ = _watched_class(stream.__class__)
    except Exception:  # noqa: BLE001 - the boundary to the application
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
    if not hasattr(cls, "close"):  # Not every release of an SDK has it.
        del made.close
    made.__name__, made.__qualname__ = cls.__name__, cls.__qualname__
    made.__module__, made.__doc__ = cls.__module__, cls.__doc__
    return made


def _sync(cls: Any) -> Any:
    class Watched(cls):  # type: ignore[misc]  # the SDK's class, whichever it is
        _clew_watcher: Watcher

        def __next__(self) -> Any:
            try:
                event = super().__next__()
            except StopIteration:
                self._clew_watcher.end()
                raise
            except BaseException as error:
                self._clew_watcher.end(_given_up(error))
                raise
            self._clew_watcher.event(event)
            return event

        def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
            self._clew_watcher.end(_given_up(error))  # Before it is closed for that reason.
            return super().__exit__(kind, error, trace)

        def close(self) -> Any:
            self._clew_watcher.end()
            return super().close()

    return Watched


def _async(cls: Any) -> Any:
    class Watched(cls):  # type: ignore[misc]  # as above
        _clew_watcher: Watcher

        async def __anext__(self) -> Any:
            try:
                event = await super().__anext__()
            except StopAsyncIteration:
                self._clew_watcher.end()
                raise
            except BaseException as error:
                self._clew_watcher.end(_given_up(error))
                raise
            self._clew_watcher.event(event)
            return event

        async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
            self._clew_watcher.end(_given_up(error))  # Before it is closed for that reason.
            return await super().__aexit__(kind, error, trace)

        async def close(self) -> Any:
            self._clew_watcher.end()
            return await super().close()

    return Watched
