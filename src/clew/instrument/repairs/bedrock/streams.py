"""Bedrock: what is read from a stream is noted where it is read, and forgotten when it fails.

Upstream notes each event in the context of whoever reads the stream or lets go of it, so that the
spans which an agent's stream brings go into the session of the reader. A read that is cancelled
leaves its span open and its context entered; one that fails loses what was read before. And each
event costs a look at the whole call stack. The repair is a stream that works in the context in
which it was made, and that ends its span once: when it is read, fails, is closed, or is forgotten.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import wrapt
from opentelemetry.context import get_current
from opentelemetry.trace import get_current_span

from clew.context.stepping import Held, awaited
from clew.core.containment import contain
from clew.instrument.repairs.bedrock.call_errors import mark_failed
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Let upstream's wrappers make streams of clew's."""
    from openinference.instrumentation.bedrock import (
        _wrappers as wrappers,
    )
    from openinference.instrumentation.bedrock.utils import (
        _StreamClosed as closed,
    )

    def made(original: Any, _: Any, arguments: Any, named: Any) -> Any:
        try:
            stream, note = arguments[:2]
            return _Stream(stream, _Noting(note, closed))
        except Exception:
            contain("watching a stream of Bedrock's")
            return original(*arguments, **named)

    return wrap_functions(wrappers, {"_EventStream": made})


class _Noting:
    """Tells upstream what is read from a stream, in the context in which the stream was made."""

    def __init__(self, note: Callable[[Any], Any], closed: type[BaseException]) -> None:
        self._note = note
        self._closed = closed
        self._span = get_current_span()
        self._ended = False
        self.held = Held(get_current())

    def event(self, event: Any) -> None:
        """Note an event. Does not raise."""
        try:
            if not self._ended:
                self.held.run(self._note, event)
        except Exception:
            contain("noting what a stream of Bedrock's brings")

    def end(self, reason: BaseException | None = None) -> None:
        """End the span: because of *reason*, or with what was read before. Does not raise."""
        if self._ended:
            return
        self._ended = True
        try:
            if not isinstance(reason, StopIteration | StopAsyncIteration):
                if reason is not None and not isinstance(reason, GeneratorExit):
                    mark_failed(self._span, reason)
                # Given an error, upstream would not write down what was read before it.
                reason = self._closed()
            self.held.run(self._note, reason)
        except Exception:
            contain("ending the span of a stream of Bedrock's")


class _Stream(wrapt.ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A stream of events. Whoever reads it keeps it from being forgotten."""

    def __init__(self, stream: Any, noting: _Noting) -> None:
        super().__init__(stream)
        self._self_noting = noting

    def __iter__(self) -> Iterator[Any]:
        events: Iterator[Any] = iter(self.__wrapped__)
        try:
            return _Events(events, self, self._self_noting)
        except Exception:
            contain("watching a stream of Bedrock's")
            return events

    def __aiter__(self) -> AsyncIterator[Any]:
        events: AsyncIterator[Any] = aiter(self.__wrapped__)
        try:
            return _AsyncEvents(events, self, self._self_noting)
        except Exception:
            contain("watching a stream of Bedrock's")
            return events

    def close(self) -> None:
        try:
            self.__wrapped__.close()
        finally:
            self._self_noting.end()

    def __del__(self) -> None:
        self._self_noting.end()


class _Events(wrapt.ObjectProxy):  # type: ignore[type-arg]  # as above
    def __init__(self, events: Any, stream: _Stream, noting: _Noting) -> None:
        super().__init__(events)
        self._self_stream = stream
        self._self_noting = noting

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        noting = self._self_noting
        try:
            event = noting.held.run(next, self.__wrapped__)
        except BaseException as reason:
            noting.end(reason)
            raise
        noting.event(event)
        return event


class _AsyncEvents(wrapt.ObjectProxy):  # type: ignore[type-arg]  # as above
    def __init__(self, events: Any, stream: _Stream, noting: _Noting) -> None:
        super().__init__(events)
        self._self_stream = stream
        self._self_noting = noting

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    def __anext__(self) -> Awaitable[Any]:
        noting = self._self_noting
        return _noted(awaited(self.__wrapped__.__anext__, noting.held.context), noting)


async def _noted(step: Awaitable[Any], noting: _Noting) -> Any:
    try:
        event = await step
    except BaseException as reason:
        noting.end(reason)
        raise
    noting.event(event)
    return event
