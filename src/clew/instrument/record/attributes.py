"""Span attributes for requests and responses, by OpenInference's semantic conventions."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.util.types import AttributeValue

from clew.context.identity import encodable

Json = dict[str, Any]
Attributes = dict[str, AttributeValue]
Message = Mapping[str, Any]
"""Keys: ``role``, ``content`` (text, or a list of chunks), ``tool_calls``, ``tool_call_id``."""

LLM, EMBEDDING, GUARDRAIL = "LLM", "EMBEDDING", "GUARDRAIL"

_TOKENS = {
    "prompt": ("prompt_tokens",),
    "completion": ("completion_tokens",),
    "total": ("total_tokens",),
    "prompt_details.cache_read": ("prompt_tokens_details", "cached_tokens"),
    "prompt_details.audio": ("prompt_tokens_details", "audio_tokens"),
}


def request_attributes(
    kind: str, provider: str, system: str, request: Json, input_arguments: Iterable[str]
) -> Attributes:
    """Return the attributes that are known at the start, apart from messages and tools."""
    parameters = {key: value for key, value in request.items() if key not in input_arguments}
    prefix = "embedding" if kind == EMBEDDING else "llm"
    attributes: Attributes = {
        "llm.provider": provider,
        "llm.system": system,
        f"{prefix}.invocation_parameters": _to_json_text(parameters),
        "input.value": _to_json_text(request),
        "input.mime_type": "application/json",
        "openinference.span.kind": kind,
    }
    if isinstance(model := request.get("model"), str):
        attributes[f"{prefix}.model_name"] = model
    return attributes


def response_attributes(kind: str, request: Json, response: Json) -> Attributes:
    """Return the attributes that *response* determines, apart from its messages."""
    prefix = "embedding" if kind == EMBEDDING else "llm"
    output = _without_vectors(response) if kind == EMBEDDING else response
    attributes: Attributes = {
        "output.value": _to_json_text(output),
        "output.mime_type": "application/json",
    }
    if model := _model_of(response) or request.get("model"):
        attributes[f"{prefix}.model_name"] = str(model)
    for choice in response.get("choices") or ():
        if choice.get("index") == 0 and choice.get("finish_reason"):
            attributes["llm.finish_reason"] = choice["finish_reason"]
    usage = response.get("usage") or {}
    for name, path in _TOKENS.items():
        if isinstance(count := _value_at(usage, path), int):
            attributes[f"llm.token_count.{name}"] = count
    if isinstance(cached := usage.get("num_cached_tokens"), int):
        attributes.setdefault("llm.token_count.prompt_details.cache_read", cached)
    return attributes


def message_attributes(prefix: str, messages: Iterable[Message]) -> Attributes:
    """Return the attributes of a list of messages, the last ones first.

    This is also upstream's order. At its attribute limit the SDK drops what was set first, which
    are then the last messages.
    """
    attributes: Attributes = {}
    for index, message in reversed(list(enumerate(messages))):
        message_prefix = f"{prefix}.{index}.message"
        for key in ("role", "tool_call_id"):
            if isinstance(value := message.get(key), str) and value:
                attributes[f"{message_prefix}.{key}"] = value
        attributes |= _content_attributes(message_prefix, message.get("content"))
        for call_index, call in enumerate(message.get("tool_calls") or ()):
            function = call.get("function") or {}
            tool_call = f"{message_prefix}.tool_calls.{call_index}.tool_call"
            if call.get("id"):
                attributes[f"{tool_call}.id"] = call["id"]
            if function.get("name"):
                attributes[f"{tool_call}.function.name"] = function["name"]
            if arguments := function.get("arguments"):
                attributes[f"{tool_call}.function.arguments"] = _to_text(arguments)
    return attributes


def _content_attributes(prefix: str, content: Any) -> Attributes:
    if not content:
        return {}
    if not isinstance(content, list):
        return {f"{prefix}.content": _to_text(content)}
    attributes: Attributes = {}
    for index, chunk in enumerate(content):
        part = f"{prefix}.contents.{index}.message_content"
        image = chunk.get("image_url") if isinstance(chunk, dict) else None
        if image:
            attributes[f"{part}.type"] = "image"
            url = image.get("url") if isinstance(image, dict) else image
            attributes[f"{part}.image.image.url"] = str(url)
        else:
            text = chunk.get("text") if isinstance(chunk, dict) else chunk
            attributes[f"{part}.type"] = "text"
            attributes[f"{part}.text"] = _to_text(chunk if text is None else text)
    return attributes


def tool_attributes(tools: Any) -> Attributes:
    """Return the attributes of the tools that a model may call."""
    if not isinstance(tools, list):
        return {}
    return {
        f"llm.tools.{index}.tool.json_schema": _to_json_text(tool)
        for index, tool in enumerate(tools)
    }


def embedding_attributes(inputs: Any, response: Json) -> Attributes:
    """Return the attributes of the texts and their vectors."""
    attributes: Attributes = {}
    texts = inputs if isinstance(inputs, list) else [inputs]
    for index, text in enumerate(texts):
        if isinstance(text, str):
            attributes[f"embedding.embeddings.{index}.embedding.text"] = text
    for position, item in enumerate(response.get("data") or ()):
        if vector := item.get("embedding"):
            index = item.get("index", position)
            attributes[f"embedding.embeddings.{index}.embedding.vector"] = vector
    return attributes


def _without_vectors(response: Json) -> Json:
    """Return *response* without the vectors, which have their own attributes and can be masked."""
    data = [
        {key: value for key, value in item.items() if key != "embedding"}
        for item in response.get("data") or ()
    ]
    return response | {"data": data}


def _model_of(response: Json) -> Any:
    """Return the model that answered; in a conversation, each entry has its own."""
    entries = response.get("outputs") or ()
    models = (entry["model"] for entry in entries if entry.get("model"))
    return response.get("model") or next(models, None)


def _value_at(value: Any, path: Iterable[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _to_json_text(value: Any) -> str:
    return encodable(json.dumps(value, ensure_ascii=False, default=str))


def _to_text(value: Any) -> str:
    return encodable(value) if isinstance(value, str) else _to_json_text(value)
