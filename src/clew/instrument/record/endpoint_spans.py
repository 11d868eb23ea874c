"""Makes a span of a call: from its start to its only end, whichever way the call comes to it."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from opentelemetry.context import attach, detach
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context

from clew.context.stepping import awaited
from clew.core.containment import contain
from clew.instrument.record import attributes
from clew.instrument.record.attributes import Json, Message
from clew.instrument.record.stream_watch import Watcher, is_stream, status, watched
from clew.instrument.record.to_json import plain
from clew.patching.import_hooks import Undo
from clew.patching.wrap import Patches, PicklableWrapper, is_active


def _nothing(_said: Json) -> Iterable[Message]:
    return ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Methods that call one endpoint of a provider, and where they say what.

    Requests and answers are looked at as the JSON that they are on the wire.
    """

    owner: str
    """Where the methods are: ``module:Class``."""
    methods: tuple[str, ...]
    name: str
    """The last part of the span's name."""
    kind: str
    """The kind of the span, in OpenInference's words."""
    content: tuple[str, ...]
    """The arguments that are not parameters of the model, but what it works on."""
    asked: Callable[[Json], Iterable[Message]] = _nothing
    """Reads the messages that a request holds."""
    answered: Callable[[Json], Iterable[Message]] = _nothing
    """Reads the messages that an answer holds."""
    gather: Callable[[Json, Json], None] | None = None
    """Adds an event of a stream to the answer that it is a part of."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Who is called: how its spans begin to be named, and who they say made the model."""

    sync_client: str
    async_client: str
    name: str
    system: str
    own_options: tuple[str, ...]
    """The arguments of every method that are about the connection. They may hold secrets."""


def record(endpoints: Iterable[Endpoint], provider: Provider, tracer: Tracer) -> Undo:
    """Make spans of the calls of *endpoints*; return what undoes it."""
    patches = Patches(_Recorded, "recording the calls of")
    for endpoint in endpoints:
        wrap = partial(_wrap, endpoint, provider, tracer, patches)
        patches.when_loaded(endpoint.owner, wrap)
    return patches.undo


class _Recorded(PicklableWrapper):
    """A method whose calls become spans."""


def _wrap(
    endpoint: Endpoint, provider: Provider, tracer: Tracer, patches: Patches, owner: Any
) -> Iterator[Undo]:
    for name in endpoint.methods:
        method = vars(owner).get(name)
        if callable(method) and not (isinstance(method, _Recorded) and is_active(method)):
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
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        call = partial(wrapped, *arguments, **named)
        if not is_instrumentation_enabled():
            return call()
        return run(call, partial(_begin, name, endpoint, provider, tracer, named))

    return wrapper


def _run(call: Callable[[], Any], begin: Callable[[], "_Call | None"]) -> Any:
    recording = begin()
    if recording is None:
        return call()
    token = attach(recording.context)
    try:
        answer = call()
    except BaseException as error:
        recording.end(error)
        raise
    finally:
        detach(token)
    return recording.answered(answer)


async def _run_async(
    call: Callable[[], Awaitable[Any]], begin: Callable[[], "_Call | None"]
) -> Any:
    recording = begin()
    if recording is None:
        return await call()
    try:
        # Step by step, so that a call which is never finished leaves nothing in the context.
        answer = await awaited(call, recording.context)
    except BaseException as error:
        recording.end(error)
        raise
    return recording.answered(answer)


def _begin(
    name: str, endpoint: Endpoint, provider: Provider, tracer: Tracer, named: Mapping[str, Any]
) -> "_Call | None":
    try:
        request = {key: it for key, it in named.items() if key not in provider.own_options}
        return _Call(name, endpoint, provider, tracer, plain(request))
    except Exception:
        contain(f"starting {name}")
        return None


class _Call(Watcher):
    """One call and its span."""

    def __init__(
        self, name: str, endpoint: Endpoint, provider: Provider, tracer: Tracer, request: Json
    ) -> None:
        self._endpoint = endpoint
        self._request = request
        self._answer: Json = {}
        self._begun = False
        self._few = attributes.of_a_call(
            endpoint.kind, provider.name, provider.system, request, endpoint.content
        )
        many = attributes.messages("llm.input_messages", endpoint.asked(request))
        many |= attributes.tools(request.get("tools"))
        # What may be many comes first: where a limit makes the SDK drop the oldest, the rest stays.
        self._span: Span = tracer.start_span(name, attributes={**many, **self._few})
        self.context = set_span_in_context(self._span)

    def answered(self, answer: Any) -> Any:
        """Take note of what the call returned, and return it."""
        try:
            if is_stream(answer):
                return watched(answer, self)
            self._answer = plain(answer)
        except Exception:
            contain("reading an answer")
        self.end(complete=True)
        return answer

    def take(self, event: Any) -> None:
        if not self._begun:
            self._begun = True
            self._span.add_event("First Token Stream Event")  # As upstream's.
        if self._endpoint.gather is not None and self._span.is_recording():
            data = plain(event).get("data")
            if isinstance(data, dict):
                self._endpoint.gather(self._answer, data)

    def finish(self, error: BaseException | None, *, complete: bool) -> None:
        span = self._span
        try:
            if self._answer and span.is_recording():
                span.set_attributes(self._said())
            span.set_status(self._status(error, complete=complete))
            if error is not None:
                span.record_exception(error)
        finally:
            span.end()

    def _said(self) -> attributes.Attributes:
        kind, answer = self._endpoint.kind, self._answer
        said = attributes.messages("llm.output_messages", self._endpoint.answered(answer))
        if kind == attributes.EMBEDDING:
            said |= attributes.embeddings(self._request.get("inputs"), answer)
        return said | self._few | attributes.of_an_answer(kind, self._request, answer)

    def _status(self, error: BaseException | None, *, complete: bool) -> Status:
        failure = self._answer.get("error")  # Told by an event, which the SDK does not raise.
        if error is None and failure:
            return Status(StatusCode.ERROR, str(failure))
        return status(error, complete=complete)
