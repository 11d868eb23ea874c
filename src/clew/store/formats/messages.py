"""Reads chat messages, as model providers take and give them, as OpenInference's attributes."""

from collections.abc import Iterator, Mapping
from typing import Any

from clew.store.formats.cells import text_of
from clew.store.record import Value


def messages_of(said: Any, prefix: str, role: str) -> Iterator[tuple[str, Value]]:
    """Yield the messages in *said* below *prefix*; one without a role has *role*."""
    if isinstance(said, Mapping) and isinstance(said.get("messages"), list):
        said = said["messages"]
    for number, message in enumerate(said if isinstance(said, list) else [said]):
        if isinstance(message, Mapping) and {"role", "content"} & message.keys():
            yield from _message(message, f"{prefix}.{number}.message", role)
        elif isinstance(message, str) and message:
            yield f"{prefix}.{number}.message.role", role
            yield f"{prefix}.{number}.message.content", message


def _message(message: Mapping[str, Any], prefix: str, role: str) -> Iterator[tuple[str, Value]]:
    yield f"{prefix}.role", text_of(message.get("role")) or role
    content = message.get("content")
    if isinstance(content, list):
        for number, part in enumerate(content):
            text = part.get("text") if isinstance(part, Mapping) else part
            if isinstance(text, str):
                yield f"{prefix}.contents.{number}.message_content.type", "text"
                yield f"{prefix}.contents.{number}.message_content.text", text
    elif text := text_of(content):
        yield f"{prefix}.content", text
    if tool_request := text_of(message.get("tool_call_id")):
        yield f"{prefix}.tool_call_id", tool_request
    calls = message.get("tool_calls")
    for number, call in enumerate(calls if isinstance(calls, list) else []):
        yield from _tool_call(call, f"{prefix}.tool_calls.{number}.tool_call")


def _tool_call(call: Any, prefix: str) -> Iterator[tuple[str, Value]]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if isinstance(function, Mapping):
        yield f"{prefix}.id", text_of(call.get("id"))
        yield f"{prefix}.function.name", text_of(function.get("name"))
        yield f"{prefix}.function.arguments", text_of(function.get("arguments"))
