"""`carry`: takes today's identity along to where OpenTelemetry's context does not go by itself.

A context follows calls, tasks and, with clew, new threads; not a job that waits in a queue, not a
callback, and nothing into another process. There, carry it. A worker that was started long ago:

    jobs = queue.Queue()

    def work():
        while (job := jobs.get()) is not None:
            job()

    threading.Thread(target=work).start()
    with using_session("chat-42", user_id="ada"):
        jobs.put(carry(answer))             # its spans are in chat-42, whenever they are made

A future's callback, which runs in whichever thread finishes the future, and others:

    with using_session("chat-42"):
        executor.submit(answer).add_done_callback(carry(store))
        processes.submit(carry(answer), "why?")
        loop.call_later(5, carry(remind))
        return StreamingResponse(carry(tokens()))
"""

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
)
from functools import partial, update_wrapper
from typing import Any, NamedTuple, TypeVar, cast

import wrapt
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.util.types import AttributeValue

from clew.context.api import carried
from clew.context.blocks import captured
from clew.context.decorators import decorated
from clew.context.identity import CARRIED, Pseudonym
from clew.context.stepping import Held, awaited, stepped, stepped_async
from clew.core.errors import IdentityTypeError

T = TypeVar("T")


def carry(thing: T) -> T:
    """Return *thing* as one that runs in the context of this moment, whoever runs it, wherever.

    *thing* is anything that can be called (of any kind: a coroutine function stays one), a
    generator, a coroutine, an asynchronous generator, or an iterator. In this process it takes the
    whole OpenTelemetry context along, so that its spans nest under the span that is current now.
    Between its steps, and after it, the caller's own context is as it was.

    Pickled into another process, a callable takes along what spans carry, and the current span as
    remote parent: the spans made there carry the same ids and belong to the same trace. A user id
    that is a pseudonym stays that one. What cannot be pickled raises pickle's own error.

    Carried twice, a thing stays with its first context.

    >>> from clew import current, using_session
    >>> with using_session("chat-42"):
    ...     ask = carry(lambda: current().session_id)
    >>> ask()
    'chat-42'
    """
    return cast("T", _carried(thing, captured()))


def _carried(thing: Any, context: Context) -> Any:
    for kind, wrap in _KINDS:
        if isinstance(thing, kind):
            return wrap(thing, context)
    message = (
        "carry takes a function, a generator, a coroutine or an iterator, "
        f"not {type(thing).__name__}"
    )
    raise IdentityTypeError(message)


class _Job:
    """A callable that runs in one context, and looks like the one that it carries.

    It is no proxy that claims to be a function: cloudpickle would believe it, and send the bare
    function. ``inspect`` recognises the kind of a function by its code, which this one shows.
    """

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        plain = _plain(function)
        update_wrapper(self, plain, updated=())
        self.__wrapped__ = function
        self._plain, self._context = plain, context
        # A class is called like a function, but cannot be decorated like one.
        callee = partial(function) if inspect.isclass(function) else function
        self._run = decorated(callee, lambda *_: context)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._run(*arguments, **named)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Bind, where the function would: a carried function can be a method."""
        bind = getattr(type(self.__wrapped__), "__get__", None)
        bound = bind(self.__wrapped__, instance, owner) if bind else self.__wrapped__
        return self if bound is self.__wrapped__ else _Job(bound, self._context)

    def __getattr__(self, name: str) -> Any:
        if name in _CODE:
            return getattr(self._plain, name)
        return getattr(self.__wrapped__, name)

    def __repr__(self) -> str:
        return f"<carried {self.__wrapped__!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _delivered, (self.__wrapped__, packed(self._context))

    def __copy__(self) -> "_Job":
        return self

    def __deepcopy__(self, memo: object) -> "_Job":
        return self


_CODE = frozenset({"__code__", "__defaults__", "__kwdefaults__"})


def _plain(function: Any) -> Any:
    """Return the function at the bottom of *function*, which says what kind it is."""
    while isinstance(function, partial):
        function = function.func
    function = getattr(function, "__func__", function)
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return _plain(type(function).__call__)


class _Steps(wrapt.ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """An iterator each step of which runs in one context; in all else the iterator itself."""

    def __init__(self, thing: Any, context: Context) -> None:
        super().__init__(thing)
        self._self_held = Held(context)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._self_held.run(self.__wrapped__.__next__)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return _delivered, (self.__wrapped__, packed(self._self_held.context))


class _AsyncSteps(wrapt.ObjectProxy):  # type: ignore[type-arg]  # as above
    """As `_Steps`, for ``async for``."""

    def __init__(self, thing: Any, context: Context) -> None:
        super().__init__(thing)
        self._self_context = context

    def __aiter__(self) -> Any:
        return self

    def __anext__(self) -> Any:
        return awaited(self.__wrapped__.__anext__, self._self_context)


_KINDS: tuple[tuple[Any, Callable[[Any, Context], Any]], ...] = (
    (Generator, lambda thing, context: stepped(lambda: thing, context)),
    (Coroutine, lambda thing, context: awaited(lambda: thing, context)),
    (AsyncGenerator, lambda thing, context: stepped_async(lambda: thing, context)),
    (Callable, _Job),
    (Iterator, _Steps),
    (AsyncIterator, _AsyncSteps),
)


# --- into another process ---

Attributes = Mapping[str, AttributeValue]


class Parcel(NamedTuple):
    """What of a context goes into another process: text and numbers, no live span, no block."""

    said: Attributes
    """What the context says; a user id that is a pseudonym says so by its type."""
    inherited: Attributes
    """Ids that only the parent span has, and which a framework's own may replace."""
    parent: tuple[int, int, int, tuple[tuple[str, str], ...]] | None
    """Trace id, span id, flags and state of the current span."""


class ParentElsewhere(trace.NonRecordingSpan):
    """The parent span in another process, and the ids that its children inherit from it."""

    def __init__(self, context: trace.SpanContext, inherited: Attributes) -> None:
        super().__init__(context)
        self.clew_kept = inherited


def packed(context: Context) -> Parcel:
    """Return what *context* is to be in another process."""
    attributes, inherited, _ = Held(context).run(carried)
    sent = {key: _bare(attributes[key]) for key in CARRIED if key in attributes}
    span = trace.get_current_span(context).get_span_context()
    state = tuple(span.trace_state.items())
    return Parcel(
        {key: value for key, value in sent.items() if value and key not in inherited},
        {key: value for key, value in sent.items() if value and key in inherited},
        (span.trace_id, span.span_id, int(span.trace_flags), state) if span.is_valid else None,
    )


def _bare(value: object) -> AttributeValue | None:
    """Return *value* as text and no more: what others put into a context may not bear pickling."""
    if isinstance(value, Pseudonym):
        return value
    if isinstance(value, str):
        return "".join(value)
    if isinstance(value, list | tuple):
        return ["".join(item) for item in value if isinstance(item, str)]
    return None


def unpacked(parcel: Parcel) -> Context:
    """Return the context that *parcel* tells of. It is built on nothing that is here already."""
    context = Context(dict(parcel.said))
    if parcel.parent is None:
        return context
    trace_id, span_id, flags, state = parcel.parent
    span = trace.SpanContext(
        trace_id,
        span_id,
        is_remote=True,
        trace_flags=trace.TraceFlags(flags),
        trace_state=trace.TraceState(list(state)),
    )
    return trace.set_span_in_context(ParentElsewhere(span, parcel.inherited), context)


def _delivered(thing: Any, parcel: Parcel) -> Any:
    """Return what was carried into this process."""
    return _carried(thing, unpacked(parcel))
