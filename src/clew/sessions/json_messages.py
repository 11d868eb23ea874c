"""Messages in JSON, in the forms of all providers and frameworks that record them so."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from clew.sessions import json_media, llama_index_text
from clew.sessions.json_values import dump, is_array, is_object, parse, text
from clew.sessions.message_draft import ROLES, Draft
from clew.sessions.model import Message

_MAX_DEPTH = 8
_RESULTS = ("response", "output", "result", "content")


def is_message(value: object) -> bool:
    """Whether a JSON value is a message."""
    if not is_object(value):
        return False
    kind = text(value.get("type"))
    if text(value.get("role")) in ROLES or kind in _ITEMS:
        return True
    if kind in ROLES and ("content" in value or "data" in value):
        return True
    return value.get("lc") == 1 and is_object(value.get("kwargs"))


def as_parts(value: str) -> Sequence[Any] | None:
    """Return the parts of a content that is recorded as their JSON, which Mistral's is."""
    said = parse(value) if value.startswith("[{") else None
    known = is_array(said) and all(is_object(it) and text(it.get("type")) in _PARTS for it in said)
    return said if known else None


def messages(values: object, default_role: str) -> list[Message]:
    """Return the messages of an array, or the only one that *values* is."""
    for _ in range(_MAX_DEPTH):  # LangChain has an array in an array: one for each prompt.
        if is_array(values) and len(values) == 1 and is_array(values[0]):
            values = values[0]
    if isinstance(values, str):
        return [Message(default_role, text(values))] if values else []
    if is_object(values):
        values = [values]
    if not is_array(values):
        return []
    return [message(it, default_role) for it in values if isinstance(it, str) or is_object(it)]


def message(value: object, default_role: str) -> Message:
    """Return the message that a JSON value is."""
    draft = Draft()
    if isinstance(value, str):
        shown = llama_index_text.message(value)
        if shown is not None:
            return shown
        draft.say(value)
    elif is_object(value):
        _read(_unwrapped(value), draft)
    return draft.done(default_role)


def _unwrapped(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a message of LangChain's without what it is wrapped in; any other as it is."""
    if value.get("lc") == 1 and is_object(value.get("kwargs")):
        name = value.get("id")
        kind = text(name[-1]) if is_array(name) and name else ""
        return {"type": kind, **value["kwargs"]}
    if text(value.get("type")) in ROLES and is_object(value.get("data")):
        return {**value["data"], "type": value["type"]}
    return value


def _read(value: Mapping[str, Any], draft: Draft) -> None:
    kind = text(value.get("type"))
    draft.role = text(value.get("role")) or (kind if kind in ROLES else "")
    draft.name = text(value.get("name"))
    if value.get("tool_call_id"):
        draft.answer_tool(value["tool_call_id"])
    if kind in _ITEMS:
        draft.role = draft.role or "assistant"  # Unless it is what a tool returned.
        _ITEMS[kind](value, draft)
        return
    for key in ("content", "parts", "text"):
        if value.get(key):
            add_content(value[key], draft)
            break
    draft.think(value.get("reasoning_content"))
    draft.say(value.get("refusal"))
    known = {request.id for request in draft.requests if request.id}
    for call in _objects(value.get("tool_calls")):
        function = call.get("function")
        body = function if is_object(function) else call
        if text(call.get("id")) not in known:
            arguments = body.get("arguments", body.get("args"))
            draft.request(body.get("name"), arguments, call.get("id"))


def add_content(content: object, draft: Draft, depth: int = 0) -> None:
    """Add the content of a message: a text, or parts of many kinds."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(content, str):
        draft.say(content)
    elif is_array(content):
        for part in content:
            add_content(part, draft, depth + 1)
    elif is_object(content):
        read = _PARTS.get(text(content.get("type")))
        if read is None:
            read = next((_BLOCKS[key] for key in content if key in _BLOCKS), None)
        if read is not None:
            read(content, draft)


def plain(content: object, depth: int = 0) -> str:
    """Return the text in a tool's result, which may have parts too; other JSON as it is."""
    if isinstance(content, str) or content is None or depth > _MAX_DEPTH:
        return text(content)
    if is_array(content):
        return "\n".join(filter(None, (plain(it, depth + 1) for it in content)))
    if is_object(content):
        for key in ("text", "content", "json", "value"):
            if key in content:
                inner = content[key]
                return dump(inner) if key in {"json", "value"} else plain(inner, depth + 1)
    return dump(content)


def _objects(values: object) -> Iterable[Mapping[str, Any]]:
    return [it for it in values if is_object(it)] if is_array(values) else []


def _inside(part: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = part.get(key)
    return inner if is_object(inner) else {}


def _words(part: Mapping[str, Any], draft: Draft) -> None:
    value = part.get("text", part.get("content"))
    # Mistral's and OpenAI's assistants say ``{"text": {"value": …}}``.
    draft.say(value.get("value") if is_object(value) else value)


def _thought(part: Mapping[str, Any], draft: Draft) -> None:
    for key in ("thinking", "reasoning", "content", "text"):
        if part.get(key):
            draft.think(plain(part[key]))
            return
    for item in _objects(part.get("summary")):
        draft.think(item.get("text"))


def _call(part: Mapping[str, Any], draft: Draft) -> None:
    """A request of Anthropic's, OpenAI's Responses, OpenTelemetry's or Vercel's."""
    arguments = next(
        (part[key] for key in ("arguments", "input", "args") if part.get(key) is not None), ""
    )
    identity = part.get("call_id") or part.get("id") or part.get("toolCallId")
    draft.request(part.get("name") or part.get("toolName"), arguments, identity)


def _result(part: Mapping[str, Any], draft: Draft) -> None:
    """What a tool returned, in the forms of the same."""
    keys = ("call_id", "tool_use_id", "id", "toolCallId")
    results = (part[key] for key in _RESULTS if part.get(key) is not None)
    identity = next((part[key] for key in keys if part.get(key)), "")
    draft.answer_tool(identity, plain(next(results, "")))


def _converse_call(part: Mapping[str, Any], draft: Draft) -> None:
    use = _inside(part, "toolUse")
    draft.request(use.get("name"), use.get("input"), use.get("toolUseId"))


def _converse_result(part: Mapping[str, Any], draft: Draft) -> None:
    result = _inside(part, "toolResult")
    draft.answer_tool(result.get("toolUseId"), plain(result.get("content")))


def _converse_thought(part: Mapping[str, Any], draft: Draft) -> None:
    inner = _inside(part, "reasoningContent")
    draft.think(_inside(inner, "reasoningText").get("text"))


Reader = Callable[[Mapping[str, Any], Draft], None]

_ITEMS: dict[str, Reader] = {
    # The items of OpenAI's Responses, which stand where others have messages.
    "function_call": _call,
    "custom_tool_call": _call,
    "function_call_output": _result,
    "custom_tool_call_output": _result,
    "reasoning": _thought,
}
_PARTS: dict[str, Reader] = {
    **_ITEMS,
    "text": _words,
    "input_text": _words,
    "output_text": _words,
    "refusal": lambda part, draft: draft.say(part.get("refusal")),
    "thinking": _thought,
    "tool_use": _call,
    "tool_call": _call,
    "tool-call": _call,
    "tool_result": _result,
    "tool_call_response": _result,
    "tool-result": _result,
    "image": json_media.image,
    "image_url": json_media.image,
    "input_image": json_media.image,
    "input_audio": json_media.audio,
    "audio": json_media.audio,
    "document": json_media.file,
    "document_url": json_media.file,
    "file": json_media.file,
    "input_file": json_media.file,
    "blob": json_media.file,
    "uri": json_media.file,
}
"""The parts of a message by their type: OpenAI's, Anthropic's, OpenTelemetry's, Vercel's."""
_BLOCKS: dict[str, Reader] = {
    "text": _words,
    "toolUse": _converse_call,
    "toolResult": _converse_result,
    "reasoningContent": _converse_thought,
    "image": json_media.image,
    "document": json_media.file,
    "inline_data": json_media.file,
}
"""The parts of Bedrock's Converse, which have no type: what is in them is their only key."""
