"""Bedrock: what most models stream is not looked at.

Upstream reads the streams of ``invoke_model_with_response_stream`` for Claude's messages, Nova and
OpenAI's models. For all others (Llama, Mistral, Titan, Cohere, AI21, DeepSeek) the span ends before
the first event, without an answer, a model's name, or tokens. But each stream ends with Bedrock's
own count of the tokens, whatever the model, and their texts lie in one of a few places.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from clew.core.containment import contain
from clew.instrument.repairs.bedrock.tokens import count
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
"""Where a chunk has its piece of the answer."""


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Look at the streams that upstream leaves alone."""
    from openinference.instrumentation.bedrock import (
        _wrappers as module,
    )

    wrappers: Any = module

    def handle_response(original: Any, _: Any, arguments: Any, named: Any) -> Any:
        try:
            response, request, span = arguments
            if _taken(wrappers, response, request, span):
                return response
        except Exception:
            contain("looking at a stream of Bedrock's")
        return original(*arguments, **named)

    return wrap_functions(
        wrappers, {"_InvokeModelWithResponseStream.handle_response": handle_response}
    )


def _taken(wrappers: Any, response: Any, request: Mapping[str, Any], span: Any) -> bool:
    """Look at the stream, if upstream does not."""
    try:
        body = wrappers.parse_invoke_model_body(request["body"])
    except (ValueError, TypeError):  # Upstream has something to say about it.
        return False
    model = str(request.get("modelId", ""))
    if not isinstance(body, dict) or not hasattr(response.get("body"), "get_initial_response"):
        return False
    if "anthropic_version" in body or "amazon.nova" in model or "openai." in model:
        return False
    wrappers.set_input_attributes(span, dict(body), dict(request))
    response["body"] = wrappers._EventStream(  # Upstream's, or clew's in its place
        response["body"],
        _Reading(wrappers, span),
        wrappers._use_span(span),
    )
    return True


class _Reading:
    """Told of each event of a stream, and of its end."""

    def __init__(self, wrappers: Any, span: Any) -> None:
        self._wrappers = wrappers
        self._span = span
        self._pieces: list[str] = []

    def __call__(self, news: Any) -> Any:
        if isinstance(news, dict):
            self._chunk(json.loads(news.get("chunk", {}).get("bytes") or b"{}"))
        elif isinstance(news, BaseException):
            self._end(news)
        return news

    def _chunk(self, chunk: Mapping[str, Any]) -> None:
        piece = next(filter(None, (_found(chunk, path) for path in _TEXTS)), None)
        if isinstance(piece, str):
            self._pieces.append(piece)
        count(self._span, chunk.get("amazon-bedrock-invocationMetrics"))

    def _end(self, reason: BaseException) -> None:
        if text := "".join(self._pieces):
            self._span.set_attribute("output.value", text)
        finished = isinstance(reason, StopIteration | StopAsyncIteration)
        closed = isinstance(reason, self._wrappers._StreamClosed)
        self._wrappers._finish(self._span, None if finished else reason, {}, closed)


def _found(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and len(value) > step else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value
