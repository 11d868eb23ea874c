"""Mistral's conversations: entries instead of messages, and a stream of named events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.support.providers.answers import (
    Answer,
    Question,
    Tool,
    count_input,
    fragments,
    last_text,
    new_id,
    respond,
)
from tests.support.providers.exchange import Event, Json, Reply, Usage, json_reply, sse, sse_reply

_MOMENT = "2025-01-01T00:00:00Z"


def answer(path: str, body: Json) -> Reply:
    """Start a conversation, or go on with the one whose id the path names."""
    parts = path.strip("/").split("/")
    conversation = parts[1] if len(parts) > 1 else new_id("conv_", 32)
    found = respond(_question(body), call_id="", id_length=9)
    found = replace(found, usage=replace(found.usage, cached=0, reasoning=0))
    if body.get("stream"):
        return sse_reply(_events(conversation, body, found))
    usage = _usage_block(found.usage)
    payload: Json = {"object": "conversation.response", "conversation_id": conversation}
    return json_reply(
        payload | {"usage": usage, "outputs": _entries(body, found)}, usage=found.usage
    )


def _question(body: Json) -> Question:
    inputs = body.get("inputs") or ""
    entries: list[Json] = (
        inputs if isinstance(inputs, list) else [{"role": "user", "content": inputs}]
    )
    options = body.get("completion_args") or {}
    wanted = options.get("response_format") or {}
    json_schema = wanted.get("json_schema") or {}
    choice = str(options.get("tool_choice") or "auto")
    return Question(
        model=str(body.get("model") or body.get("agent_id") or ""),
        system=str(body.get("instructions") or ""),
        user=last_text(entries),
        prompt_tokens=count_input(entries, body.get("tools"), body.get("instructions")),
        tools=tuple(
            Tool(one["function"]["name"], one["function"].get("parameters") or {})
            for one in body.get("tools") or []
            if one.get("type") == "function"
        ),
        choice={"any": "required"}.get(choice, choice),
        answered=bool(entries) and entries[-1].get("type") == "function.result",
        schema=json_schema.get("schema"),
        wants_json=wanted.get("type") == "json_object",
        max_tokens=options.get("max_tokens"),
    )


def _usage_block(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "connector_tokens": None,
        "connectors": None,
    }


def _author(body: Json) -> Json:
    return {"model": body.get("model") or "mistral-large-latest", "agent_id": body.get("agent_id")}


def _entries(body: Json, found: Answer) -> list[Json]:
    frame: Json = {"object": "entry", "created_at": _MOMENT, "completed_at": _MOMENT}
    frame |= _author(body)
    if not found.calls:
        message = {"type": "message.output", "role": "assistant", "content": found.text}
        return [frame | message | {"id": new_id("msg_", 32)}]
    return [
        frame
        | {
            "type": "function.call",
            "id": new_id("fc_", 32),
            "tool_call_id": call.id,
            "name": call.name,
            "arguments": "".join(fragments(call.arguments)),
        }
        for call in found.calls
    ]


def _events(conversation: str, body: Json, found: Answer) -> Iterator[Event]:
    frame: Json = {"created_at": _MOMENT}

    def event(kind: str, payload: Json, usage: Usage | None = None) -> Event:
        return sse({"type": kind} | frame | payload, name=kind, usage=usage)

    yield event("conversation.response.started", {"conversation_id": conversation})
    author = _author(body) | {"output_index": 0}
    for call in found.calls:
        head = author | {"id": new_id("fc_", 32), "tool_call_id": call.id, "name": call.name}
        for part in fragments(call.arguments):
            yield event("function.call.delta", head | {"arguments": part})
    message = author | {"id": new_id("msg_", 32), "role": "assistant", "content_index": 0}
    for piece in found.pieces:
        yield event("message.output.delta", message | {"content": piece})
    ending = {"usage": _usage_block(found.usage)}
    yield event("conversation.response.done", ending, found.usage)
