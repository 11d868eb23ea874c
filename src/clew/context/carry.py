"""`carry`: takes the current ids along to where OpenTelemetry's context does not go by itself.

A context follows calls, tasks and, with clew, new threads. It does not follow a job that waits in a
queue, a callback, or a call in another process: use `carry` there. For a worker thread that was
started long before:

    jobs = queue.Queue()

    def work():
        while (job := jobs.get()) is not None:
            job()

    threading.Thread(target=work).start()
    with using_session("chat-42", user_id="ada"):
        jobs.put(carry(answer))             # its spans are in chat-42, whenever they are made

For a future's callback, which runs in whichever thread finishes the future, and for others:

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

from clew.context.blocks import capture_context
from clew.context.decorators import decorate
from clew.context.ids import CONTEXT_KEYS
from clew.context.lookup import find_attributes
from clew.context.pseudonyms import Pseudonym
from clew.context.stepping import (
    SteppedContext,
    async_generator_in_context,
    coroutine_in_context,
    generator_in_context,
)
from clew.core.errors import IdentityTypeError

T = TypeVar("T")


def carry(thing: T) -> T:
    """Return *thing* so that it runs in the context that is current now, wherever it is run.

    *thing* is a callable of any kind (a coroutine function stays one), a generator, a coroutine, an
    asynchronous generator, or an iterator. In this process it takes the whole OpenTelemetry context
    along, so that its spans nest under the span that is current now. Between its steps, and after
    it, the caller's own context is as it was.

    Pickled into another process, a callable takes along the ids and other attributes that spans
    carry, and the current span as remote parent: the spans made there carry the same ids and belong
    to the same trace. A pseudonym stays the same one. What cannot be pickled raises pickle's error.

    If a thing is carried twice, the first context counts.

    >>> from clew import current, using_session
    >>> with using_session("chat-42"):
    ...     ask = carry(lambda: current().session_id)
    >>> ask()
    'chat-42'
    """
    return cast("T", _in_context(thing, capture_context()))


def _in_context(thing: Any, context: Context) -> Any:
    for kind, wrap in _KINDS:
        if isinstance(thing, kind):
            return wrap(thing, context)
    message = (
        "carry takes a function, a generator, a coroutine or an iterator, "
        f"not {type(thing).__name__}"
    )
    raise IdentityTypeError(message)


class _CarriedCallable:
    """A callable that runs in one context, and looks like the one that it wraps.

    It is not a proxy that claims to be a function: cloudpickle would believe it, and send the bare
    function. ``inspect`` recognises the kind of a function by its code, which can be read here.
    """

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        plain = _underlying_function(function)
        update_wrapper(self, plain, updated=())
        self.__wrapped__ = function
        self._plain, self._context = plain, context
        # A class is called like a function, but cannot be decorated like one.
        decorable = partial(function) if inspect.isclass(function) else function
        self._run = decorate(decorable, lambda *_: context)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Bind like the function: a carried function can be a method."""
        bind = getattr(type(self.__wrapped__), "__get__", None)
        bound = bind(self.__wrapped__, instance, owner) if bind else self.__wrapped__
        return self if bound is self.__wrapped__ else _CarriedCallable(bound, self._context)

    def __getattr__(self, name: str) -> Any:
        if name in _CODE_ATTRIBUTES:
            return getattr(self._plain, name)
        return getattr(self.__wrapped__, name)

    def __repr__(self) -> str:
        return f"<carried {self.__wrapped__!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.__wrapped__, pack_context(self._context))

    def __copy__(self) -> "_CarriedCallable":
        return self

    def __deepcopy__(self, memo: object) -> "_CarriedCallable":
        return self


_CODE_ATTRIBUTES = frozenset({"__code__", "__defaults__", "__kwdefaults__"})


def _underlying_function(function: Any) -> Any:
    """Return the function that is wrapped in *function*, from which its kind can be read."""
    while isinstance(function, partial):
        function = function.func
    function = getattr(function, "__func__", function)
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return _underlying_function(type(function).__call__)


class _CarriedIterator(wrapt.ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """An iterator each step of which runs in one context; otherwise a proxy of the iterator."""

    def __init__(self, thing: Any, context: Context) -> None:
        super().__init__(thing)
        self._self_stepped = SteppedContext(context)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._self_stepped.run(self.__wrapped__.__next__)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return _rebuild, (self.__wrapped__, pack_context(self._self_stepped.context))


class _CarriedAsyncIterator(wrapt.ObjectProxy):  # type: ignore[type-arg]  # as above
    """As `_CarriedIterator`, for ``async for``."""

    def __init__(self, thing: Any, context: Context) -> None:
        super().__init__(thing)
        self._self_context = context

    def __aiter__(self) -> Any:
        return self

    def __anext__(self) -> Any:
        return coroutine_in_context(self.__wrapped__.__anext__, self._self_context)


_KINDS: tuple[tuple[Any, Callable[[Any, Context], Any]], ...] = (
    (Generator, lambda thing, context: generator_in_context(lambda: thing, context)),
    (Coroutine, lambda thing, context: coroutine_in_context(lambda: thing, context)),
    (AsyncGenerator, lambda thing, context: async_generator_in_context(lambda: thing, context)),
    (Callable, _CarriedCallable),
    (Iterator, _CarriedIterator),
    (AsyncIterator, _CarriedAsyncIterator),
)


# --- into another process ---

Attributes = Mapping[str, AttributeValue]


class PackedContext(NamedTuple):
    """What is sent of a context to another process: text and numbers, no span, no block."""

    attributes: Attributes
    """The context attributes. A user id that is a pseudonym is of the type `Pseudonym`."""
    inherited: Attributes
    """Ids that only the parent span has, and which a framework's own may replace."""
    parent: tuple[int, int, int, tuple[tuple[str, str], ...]] | None
    """Trace id, span id, flags and state of the current span."""


class RemoteParent(trace.NonRecordingSpan):
    """A parent span in another process, with the ids that its children inherit from it.

    Without a parent, its span context is invalid: the spans below it are roots.
    """

    def __init__(self, context: trace.SpanContext, inherited: Attributes) -> None:
        super().__init__(context)
        self.clew_kept = inherited


def pack_context(context: Context) -> PackedContext:
    """Return what is sent of *context* to another process."""
    attributes, inherited, _ = SteppedContext(context).run(find_attributes)
    sent = {key: _plain_value(attributes[key]) for key in CONTEXT_KEYS if key in attributes}
    span = trace.get_current_span(context).get_span_context()
    state = tuple(span.trace_state.items())
    return PackedContext(
        {key: value for key, value in sent.items() if value and key not in inherited},
        {key: value for key, value in sent.items() if value and key in inherited},
        (span.trace_id, span.span_id, int(span.trace_flags), state) if span.is_valid else None,
    )


def _plain_value(value: object) -> AttributeValue | None:
    """Return *value* as plain text or list, or None: other objects may not be picklable."""
    if isinstance(value, Pseudonym):
        return value
    if isinstance(value, str):
        return "".join(value)
    if isinstance(value, list | tuple):
        return ["".join(item) for item in value if isinstance(item, str)]
    return None


def unpack_context(packed: PackedContext) -> Context:
    """Return the context that *packed* describes, without anything of the current context."""
    context = Context(dict(packed.attributes))
    if packed.parent is None:
        if not packed.inherited:
            return context
        # The default ids of the other process: no span's, but what is said here replaces them, too.
        parent = RemoteParent(trace.INVALID_SPAN_CONTEXT, packed.inherited)
        return trace.set_span_in_context(parent, context)
    trace_id, span_id, flags, state = packed.parent
    span = trace.SpanContext(
        trace_id,
        span_id,
        is_remote=True,
        trace_flags=trace.TraceFlags(flags),
        trace_state=trace.TraceState(list(state)),
    )
    return trace.set_span_in_context(RemoteParent(span, packed.inherited), context)


def _rebuild(thing: Any, packed: PackedContext) -> Any:
    """Recreate, in this process, what was carried in another one."""
    return _in_context(thing, unpack_context(packed))
