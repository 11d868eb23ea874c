"""Bedrock: the streams of most models are not traced.

Upstream reads the streams of ``invoke_model_with_response_stream`` for Claude's messages, Nova and
OpenAI's models. For all others (Llama, Mistral, Titan, Cohere, AI21, DeepSeek) the span ends before
the first event, without output, model name or tokens. The repair reads these streams: each ends
with Bedrock's own token counts, whatever the model, and their texts are in one of a few places.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from clew.core.containment import contain
from clew.instrument.repairs.bedrock.tokens import set_token_counts
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_TEXTS: tuple[tuple[str | int, ...], ...] = (
    ("outputText",),
    ("generation",),
    ("completion",),
    ("text",),
    ("outputs", 0, "text"),
    ("generations", 0, "text"),
    ("choices", 0, "delta", "content"),
    ("choices", 0, "message", "content"),
    ("choices", 0, "text"),
    ("delta", "message", "content", "text"),
)
"""The paths in a chunk where its part of the answer may be."""


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Read the streams that upstream does not read."""
    from openinference.instrumentation.bedrock import (
        _wrappers as module,
    )

    wrappers: Any = module

    def handle_response(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            response, request, span = args
            if _read_stream(wrappers, response, request, span):
                return response
        except Exception:
            contain("reading a Bedrock stream")
        return wrapped(*args, **kwargs)

    return wrap_functions(
        wrappers, {"_InvokeModelWithResponseStream.handle_response": handle_response}
    )


def _read_stream(wrappers: Any, response: Any, request: Mapping[str, Any], span: Any) -> bool:
    """Set the input and wrap the stream of *response*, unless upstream reads it."""
    try:
        body = wrappers.parse_invoke_model_body(request["body"])
    except (ValueError, TypeError):  # Upstream handles an invalid body.
        return False
    model = str(request.get("modelId", ""))
    if not isinstance(body, dict) or not hasattr(response.get("body"), "get_initial_response"):
        return False
    if "anthropic_version" in body or "amazon.nova" in model or "openai." in model:
        return False
    wrappers.set_input_attributes(span, dict(body), dict(request))
    response["body"] = wrappers._EventStream(  # Upstream's, or clew's in its place
        response["body"],
        _StreamCallback(wrappers, span),
        wrappers._use_span(span),
    )
    return True


class _StreamCallback:
    """Called with each event of a stream, and with the exception that ends it."""

    def __init__(self, wrappers: Any, span: Any) -> None:
        self._wrappers = wrappers
        self._span = span
        self._texts: list[str] = []

    def __call__(self, event: Any) -> Any:
        if isinstance(event, dict):
            self._on_chunk(json.loads(event.get("chunk", {}).get("bytes") or b"{}"))
        elif isinstance(event, BaseException):
            self._on_end(event)
        return event

    def _on_chunk(self, chunk: Mapping[str, Any]) -> None:
        text = next(filter(None, (_value_at(chunk, path) for path in _TEXTS)), None)
        if isinstance(text, str):
            self._texts.append(text)
        set_token_counts(self._span, chunk.get("amazon-bedrock-invocationMetrics"))

    def _on_end(self, error: BaseException) -> None:
        if text := "".join(self._texts):
            self._span.set_attribute("output.value", text)
        finished = isinstance(error, StopIteration | StopAsyncIteration)
        closed = isinstance(error, self._wrappers._StreamClosed)
        self._wrappers._finish(self._span, None if finished else error, {}, closed)


def _value_at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        if isinstance(key, int):
            value = value[key] if isinstance(value, list) and len(value) > key else None
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    return value
