"""Makes a span for each call of an endpoint, and ends it once, however the call ends."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from opentelemetry.context import attach, detach
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context

from clew.context.stepping import coroutine_in_context
from clew.core.containment import contain
from clew.instrument.record import attributes
from clew.instrument.record.attributes import Json, Message
from clew.instrument.record.stream_watch import Watcher, is_stream, stream_status, watch
from clew.instrument.record.to_json import to_json
from clew.patching.undo import Undo
from clew.patching.wrap import Patches, PicklableWrapper, is_active


def _no_messages(_body: Json) -> Iterable[Message]:
    return ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Methods that call one endpoint of a provider, and how to read their messages.

    Requests and responses are read as the JSON that is sent.
    """

    owner: str
    """The class of the methods: ``module:Class``."""
    methods: tuple[str, ...]
    name: str
    """The last part of the span's name."""
    kind: str
    """OpenInference's kind of the span."""
    input_arguments: tuple[str, ...]
    """The arguments that are the model's input, and so not among its parameters."""
    input_messages: Callable[[Json], Iterable[Message]] = _no_messages
    """Return the messages in a request."""
    output_messages: Callable[[Json], Iterable[Message]] = _no_messages
    """Return the messages in a response."""
    add_event: Callable[[Json, Json], None] | None = None
    """Add an event of a stream to the response that it is a part of."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider: the first part of its spans' names, and their attributes."""

    sync_client: str
    async_client: str
    name: str
    system: str
    connection_arguments: tuple[str, ...]
    """The arguments of every method that concern the connection. They may hold secrets."""


def trace_endpoints(endpoints: Iterable[Endpoint], provider: Provider, tracer: Tracer) -> Undo:
    """Make spans for the calls of *endpoints*; return a function that undoes it."""
    patches = Patches(_TracedMethod, "tracing the calls of")
    for endpoint in endpoints:
        wrap = partial(_wrap, endpoint, provider, tracer, patches)
        patches.when_loaded(endpoint.owner, wrap)
    return patches.undo


class _TracedMethod(PicklableWrapper):
    """A method whose calls are traced."""


def _wrap(
    endpoint: Endpoint, provider: Provider, tracer: Tracer, patches: Patches, owner: Any
) -> Iterator[Undo]:
    for name in endpoint.methods:
        method = vars(owner).get(name)
        if callable(method) and not (isinstance(method, _TracedMethod) and is_active(method)):
            patches.wrap_one(owner, name, _wrapper(method, endpoint, provider, tracer))
            yield partial(patches.unwrap_one, owner, name)


def _wrapper(
    method: Callable[..., Any], endpoint: Endpoint, provider: Provider, tracer: Tracer
) -> Callable[..., Any]:
    is_async = inspect.iscoroutinefunction(method)
    client = provider.async_client if is_async else provider.sync_client
    name = f"{client}.{endpoint.name}"
    run = _run_async if is_async else _run

    def wrapper(
        wrapped: Callable[..., Any],
        _instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        call = partial(wrapped, *args, **kwargs)
        if not is_instrumentation_enabled():
            return call()
        return run(call, partial(_start_span, name, endpoint, provider, tracer, kwargs))

    return wrapper


def _run(call: Callable[[], Any], start_span: Callable[[], "_CallSpan | None"]) -> Any:
    call_span = start_span()
    if call_span is None:
        return call()
    token = attach(call_span.context)
    try:
        response = call()
    except BaseException as error:
        call_span.end(error)
        raise
    finally:
        detach(token)
    return call_span.set_response(response)


async def _run_async(
    call: Callable[[], Awaitable[Any]], start_span: Callable[[], "_CallSpan | None"]
) -> Any:
    call_span = start_span()
    if call_span is None:
        return await call()
    try:
        # Attached only while a step runs, so that an unfinished call leaves the context clean.
        response = await coroutine_in_context(call, call_span.context)
    except BaseException as error:
        call_span.end(error)
        raise
    return call_span.set_response(response)


def _start_span(
    name: str, endpoint: Endpoint, provider: Provider, tracer: Tracer, kwargs: Mapping[str, Any]
) -> "_CallSpan | None":
    try:
        ignored = provider.connection_arguments
        request = {key: value for key, value in kwargs.items() if key not in ignored}
        return _CallSpan(name, endpoint, provider, tracer, to_json(request))
    except Exception:
        contain(f"starting {name}")
        return None


class _CallSpan(Watcher):
    """The span of one call."""

    def __init__(
        self, name: str, endpoint: Endpoint, provider: Provider, tracer: Tracer, request: Json
    ) -> None:
        self._endpoint = endpoint
        self._request = request
        self._response: Json = {}
        self._has_events = False
        self._base_attributes = attributes.request_attributes(
            endpoint.kind, provider.name, provider.system, request, endpoint.input_arguments
        )
        messages = endpoint.input_messages(request)
        lists = attributes.message_attributes("llm.input_messages", messages)
        lists |= attributes.tool_attributes(request.get("tools"))
        # The lists come first: at its limit the SDK drops what was set first, and keeps the rest.
        self._span: Span = tracer.start_span(name, attributes={**lists, **self._base_attributes})
        self.context = set_span_in_context(self._span)

    def set_response(self, response: Any) -> Any:
        """Take what the call returned, end the span unless it is a stream, and return it."""
        try:
            if is_stream(response):
                return watch(response, self)
            self._response = to_json(response)
        except Exception:
            contain("reading a response")
        self.end(complete=True)
        return response

    def handle_event(self, event: Any) -> None:
        if not self._has_events:
            self._has_events = True
            self._span.add_event("First Token Stream Event")  # As upstream does.
        if self._endpoint.add_event is not None and self._span.is_recording():
            data = to_json(event).get("data")
            if isinstance(data, dict):
                self._endpoint.add_event(self._response, data)

    def handle_end(self, error: BaseException | None, *, complete: bool) -> None:
        span = self._span
        try:
            if self._response and span.is_recording():
                span.set_attributes(self._response_attributes())
            span.set_status(self._status(error, complete=complete))
            if error is not None:
                span.record_exception(error)
        finally:
            span.end()

    def _response_attributes(self) -> attributes.Attributes:
        kind, response = self._endpoint.kind, self._response
        messages = self._endpoint.output_messages(response)
        result = attributes.message_attributes("llm.output_messages", messages)
        if kind == attributes.EMBEDDING:
            result |= attributes.embedding_attributes(self._request.get("inputs"), response)
        result |= self._base_attributes
        return result | attributes.response_attributes(kind, self._request, response)

    def _status(self, error: BaseException | None, *, complete: bool) -> Status:
        failure = self._response.get("error")  # From an event; the SDK raises nothing.
        if error is None and failure:
            return Status(StatusCode.ERROR, str(failure))
        return stream_status(error, complete=complete)
