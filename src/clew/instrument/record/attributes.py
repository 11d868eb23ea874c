"""What a call's span says, in the words of OpenInference's semantic conventions."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.util.types import AttributeValue

from clew.context.identity import encodable

Json = dict[str, Any]
Attributes = dict[str, AttributeValue]
Message = Mapping[str, Any]
"""Of ``role``, ``content`` (text, or a list of chunks), ``tool_calls`` and ``tool_call_id``."""

LLM, EMBEDDING, GUARDRAIL = "LLM", "EMBEDDING", "GUARDRAIL"

_TOKENS = {
    "prompt": ("prompt_tokens",),
    "completion": ("completion_tokens",),
    "total": ("total_tokens",),
    "prompt_details.cache_read": ("prompt_tokens_details", "cached_tokens"),
    "prompt_details.audio": ("prompt_tokens_details", "audio_tokens"),
}


def of_a_call(
    kind: str, provider: str, system: str, request: Json, content: Iterable[str]
) -> Attributes:
    """Return what is known at the start."""
    parameters = {key: it for key, it in request.items() if key not in content}
    prefix = "embedding" if kind == EMBEDDING else "llm"
    said: Attributes = {
        "llm.provider": provider,
        "llm.system": system,
        f"{prefix}.invocation_parameters": _as_json(parameters),
        "input.value": _as_json(request),
        "input.mime_type": "application/json",
        "openinference.span.kind": kind,
    }
    if isinstance(model := request.get("model"), str):
        said[f"{prefix}.model_name"] = model
    return said


def of_an_answer(kind: str, request: Json, answer: Json) -> Attributes:
    """Return what the answer says, apart from its messages."""
    prefix = "embedding" if kind == EMBEDDING else "llm"
    said: Attributes = {
        "output.value": _as_json(_without_vectors(answer) if kind == EMBEDDING else answer),
        "output.mime_type": "application/json",
    }
    if model := _model_of(answer) or request.get("model"):
        said[f"{prefix}.model_name"] = str(model)
    for choice in answer.get("choices") or ():
        if choice.get("index") == 0 and choice.get("finish_reason"):
            said["llm.finish_reason"] = choice["finish_reason"]
    usage = answer.get("usage") or {}
    for name, path in _TOKENS.items():
        if isinstance(count := _at(usage, path), int):
            said[f"llm.token_count.{name}"] = count
    if isinstance(cached := usage.get("num_cached_tokens"), int):
        said.setdefault("llm.token_count.prompt_details.cache_read", cached)
    return said


def messages(prefix: str, found: Iterable[Message]) -> Attributes:
    """Return the attributes of a list of messages, the last ones first.

    Those that a limit drops are the oldest then: the beginning of what was said most recently is
    worth most, as upstream has it.
    """
    said: Attributes = {}
    for index, message in reversed(list(enumerate(found))):
        start = f"{prefix}.{index}.message"
        for key in ("role", "tool_call_id"):
            if isinstance(value := message.get(key), str) and value:
                said[f"{start}.{key}"] = value
        said |= _content(start, message.get("content"))
        for number, call in enumerate(message.get("tool_calls") or ()):
            function = call.get("function") or {}
            tool_call = f"{start}.tool_calls.{number}.tool_call"
            if call.get("id"):
                said[f"{tool_call}.id"] = call["id"]
            if function.get("name"):
                said[f"{tool_call}.function.name"] = function["name"]
            if arguments := function.get("arguments"):
                said[f"{tool_call}.function.arguments"] = _as_text(arguments)
    return said


def _content(start: str, content: Any) -> Attributes:
    if not content:
        return {}
    if not isinstance(content, list):
        return {f"{start}.content": _as_text(content)}
    said: Attributes = {}
    for number, chunk in enumerate(content):
        part = f"{start}.contents.{number}.message_content"
        image = chunk.get("image_url") if isinstance(chunk, dict) else None
        if image:
            said[f"{part}.type"] = "image"
            url = image.get("url") if isinstance(image, dict) else image
            said[f"{part}.image.image.url"] = str(url)
        else:
            text = chunk.get("text") if isinstance(chunk, dict) else chunk
            said[f"{part}.type"] = "text"
            said[f"{part}.text"] = _as_text(chunk if text is None else text)
    return said


def tools(offered: Any) -> Attributes:
    """Return the attributes of the tools that a model may call."""
    if not isinstance(offered, list):
        return {}
    return {
        f"llm.tools.{number}.tool.json_schema": _as_json(it) for number, it in enumerate(offered)
    }


def embeddings(inputs: Any, answer: Json) -> Attributes:
    """Return the texts and their vectors."""
    said: Attributes = {}
    texts = inputs if isinstance(inputs, list) else [inputs]
    for index, text in enumerate(texts):
        if isinstance(text, str):
            said[f"embedding.embeddings.{index}.embedding.text"] = text
    for place, found in enumerate(answer.get("data") or ()):
        if vector := found.get("embedding"):
            index = found.get("index", place)
            said[f"embedding.embeddings.{index}.embedding.vector"] = vector
    return said


def _without_vectors(answer: Json) -> Json:
    """Return *answer* without what stands in attributes of its own, which can be masked there."""
    data = [
        {key: it for key, it in found.items() if key != "embedding"}
        for found in answer.get("data") or ()
    ]
    return answer | {"data": data}


def _model_of(answer: Json) -> Any:
    """Return the model that answered, which in a conversation each entry says for itself."""
    entries = answer.get("outputs") or ()
    return answer.get("model") or next((it["model"] for it in entries if it.get("model")), None)


def _at(value: Any, path: Iterable[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _as_json(value: Any) -> str:
    return encodable(json.dumps(value, ensure_ascii=False, default=str))


def _as_text(value: Any) -> str:
    return encodable(value) if isinstance(value, str) else _as_json(value)
