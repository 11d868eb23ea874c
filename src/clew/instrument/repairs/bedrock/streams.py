"""Bedrock: the events of a stream are traced in the reader's context, and lost if the stream fails.

Upstream handles each event in the context of whoever reads the stream or drops it, so the spans
that an agent's stream creates get the session of the reader. A read that is cancelled leaves its
span open and its context attached; one that fails loses what was read before. And each event
inspects the whole call stack. The repair is a stream that works in the context in which it was
created, and that ends its span once: when it is exhausted, fails, is closed, or is collected.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import wrapt
from opentelemetry.context import get_current
from opentelemetry.trace import get_current_span

from clew.context.stepping import SteppedContext, coroutine_in_context
from clew.core.containment import contain
from clew.instrument.repairs.bedrock.call_errors import mark_failed
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Let upstream's wrappers create clew's streams."""
    from openinference.instrumentation.bedrock import (
        _wrappers as wrappers,
    )
    from openinference.instrumentation.bedrock.utils import (
        _StreamClosed as closed,
    )

    def make_stream(original: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            stream, callback = args[:2]
            return _Stream(stream, _Recorder(callback, closed))
        except Exception:
            contain("wrapping a Bedrock stream")
            return original(*args, **kwargs)

    return wrap_functions(wrappers, {"_EventStream": make_stream})


class _Recorder:
    """Calls upstream with what is read from a stream, in the context that created the stream."""

    def __init__(self, callback: Callable[[Any], Any], closed: type[BaseException]) -> None:
        self._callback = callback
        self._closed = closed
        self._span = get_current_span()
        self._ended = False
        self.held = SteppedContext(get_current())

    def add_event(self, event: Any) -> None:
        """Pass an event to upstream. Does not raise."""
        try:
            if not self._ended:
                self.held.run(self._callback, event)
        except Exception:
            contain("recording an event of a Bedrock stream")

    def end(self, error: BaseException | None = None) -> None:
        """End the span, with *error* or with what was read before. Does not raise."""
        if self._ended:
            return
        self._ended = True
        try:
            if not isinstance(error, StopIteration | StopAsyncIteration):
                if error is not None and not isinstance(error, GeneratorExit):
                    mark_failed(self._span, error)
                # If upstream gets an error, it does not set what was read before it.
                error = self._closed()
            self.held.run(self._callback, error)
        except Exception:
            contain("ending the span of a Bedrock stream")


class _Stream(wrapt.ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A stream of events. Its iterators refer to it, so it is not collected before they are."""

    def __init__(self, stream: Any, recorder: _Recorder) -> None:
        super().__init__(stream)
        self._self_recorder = recorder

    def __iter__(self) -> Iterator[Any]:
        events: Iterator[Any] = iter(self.__wrapped__)
        try:
            return _Events(events, self, self._self_recorder)
        except Exception:
            contain("wrapping a Bedrock stream")
            return events

    def __aiter__(self) -> AsyncIterator[Any]:
        events: AsyncIterator[Any] = aiter(self.__wrapped__)
        try:
            return _AsyncEvents(events, self, self._self_recorder)
        except Exception:
            contain("wrapping a Bedrock stream")
            return events

    def close(self) -> None:
        try:
            self.__wrapped__.close()
        finally:
            self._self_recorder.end()

    def __del__(self) -> None:
        self._self_recorder.end()


class _Events(wrapt.ObjectProxy):  # type: ignore[type-arg]  # as above
    def __init__(self, events: Any, stream: _Stream, recorder: _Recorder) -> None:
        super().__init__(events)
        self._self_stream = stream
        self._self_recorder = recorder

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        recorder = self._self_recorder
        try:
            event = recorder.held.run(next, self.__wrapped__)
        except BaseException as error:
            recorder.end(error)
            raise
        recorder.add_event(event)
        return event


class _AsyncEvents(wrapt.ObjectProxy):  # type: ignore[type-arg]  # as above
    def __init__(self, events: Any, stream: _Stream, recorder: _Recorder) -> None:
        super().__init__(events)
        self._self_stream = stream
        self._self_recorder = recorder

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    def __anext__(self) -> Awaitable[Any]:
        recorder = self._self_recorder
        return _record_event(
            coroutine_in_context(self.__wrapped__.__anext__, recorder.held.context), recorder
        )


async def _record_event(awaitable: Awaitable[Any], recorder: _Recorder) -> Any:
    try:
        event = await awaitable
    except BaseException as error:
        recorder.end(error)
        raise
    recorder.add_event(event)
    return event
