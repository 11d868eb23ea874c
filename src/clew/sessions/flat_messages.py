"""Messages that are flattened into attributes, each field with a key of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from clew.sessions import json_messages
from clew.sessions.json_values import dump, numbered, text
from clew.sessions.message_draft import Draft
from clew.sessions.model import Media, Message

_PLAIN = frozenset({"message.role", "message.content"})
"""Most messages have nothing else."""
_REASONING = frozenset({"reasoning", "thinking", "redacted_reasoning"})


def openinference(attributes: Mapping[str, Any], prefix: str, default_role: str) -> list[Message]:
    """Return the messages below *prefix*, ``llm.input_messages.`` or ``llm.output_messages.``."""
    return [_message(fields, default_role) for fields in numbered(attributes, prefix)]


def _message(fields: Mapping[str, Any], default_role: str) -> Message:
    draft = Draft(text(fields.get("message.role")))
    draft.name = text(fields.get("message.name"))
    request = text(fields.get("message.tool_call_id"))
    content = fields.get("message.content")
    parts = json_messages.as_parts(content) if isinstance(content, str) else None
    if parts is not None:
        json_messages.add_content(parts, draft)
    elif content is not None:
        draft.say(dump(content))
    if not fields.keys() <= _PLAIN:
        said_already = bool(draft.texts)
        for part in numbered(fields, "message.contents."):
            _add_part(part, draft, said_already=said_already)
        for call in numbered(fields, "message.tool_calls."):
            draft.request(
                call.get("tool_call.function.name"),
                call.get("tool_call.function.arguments"),
                call.get("tool_call.id"),
            )
        legacy = fields.get("message.function_call_name")
        if legacy:
            draft.request(legacy, fields.get("message.function_call_arguments_json"), "")
    if request:  # Of Anthropic's messages, the role stays the user's.
        draft.answer_tool(request, "\n".join(draft.texts))
        draft.texts.clear()
    return draft.done(default_role)


def _add_part(part: Mapping[str, Any], draft: Draft, *, said_already: bool) -> None:
    kind = text(part.get("message_content.type"))
    words = part.get("message_content.text")
    if kind in _REASONING:
        draft.think(words)
    elif not said_already:  # Some record the text twice, whole and in parts.
        draft.say(words)
    addresses = [key for key in part if key.endswith((".url", ".mime_type"))]
    if addresses or (kind in {"image", "audio", "document", "video", "file"} and not words):
        draft.media.append(_media(kind, part))


def _media(kind: object, part: Mapping[str, Any]) -> Media:
    found = {"url": "", "mime_type": "", "name": ""}
    for key, value in part.items():
        last = key.rpartition(".")[2]
        if last in found:
            found[last] = text(value)
        kind = kind or key.removeprefix("message_content.").partition(".")[0]
    if kind == "audio":
        draft_kind: Any = "audio"
    else:
        draft_kind = "image" if kind == "image" else "file"
    return Media(draft_kind, found["url"], found["mime_type"], found["name"])


def prompts(attributes: Mapping[str, Any], prefix: str, role: str) -> list[Message]:
    """Return what was sent to a model that completes texts, or what it answered."""
    whole = attributes.get(prefix.rstrip("."))
    if isinstance(whole, str):
        return [Message(role, text(whole))]
    if isinstance(whole, Sequence):
        return [Message(role, text(it)) for it in whole if isinstance(it, str)]
    return [
        Message(role, text(value))
        for fields in numbered(attributes, prefix)
        for value in fields.values()
        if isinstance(value, str)
    ]


def openllmetry(attributes: Mapping[str, Any], prefix: str, role: str) -> list[Message]:
    """Return the messages below ``gen_ai.prompt.`` or ``gen_ai.completion.``."""
    found = []
    for fields in numbered(attributes, prefix):
        draft = Draft(text(fields.get("role")))
        draft.say(fields.get("content"))
        draft.think(fields.get("reasoning"))
        draft.request_id = text(fields.get("tool_call_id"))
        for call in numbered(fields, "tool_calls."):
            draft.request(call.get("name"), call.get("arguments"), call.get("id"))
        found.append(draft.done(role))
    return found
