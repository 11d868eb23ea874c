"""Bedrock's Converse operations, one form of messages for all models, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from tests.support.providers import eventstream
from tests.support.providers.answers import (
    Answer,
    Question,
    Tool,
    count_input,
    fragments,
    last_text,
    respond,
    text_of,
)
from tests.support.providers.exchange import Event, Json, Reply, Usage, json_reply

_PADDING = "abcdefghijkl"
"""Bedrock pads streamed events with a field ``p``, against guessing contents by their length."""


def answer(model: str, body: Json, *, streamed: bool) -> Reply:
    found = respond(question_of(model, body), call_id="tooluse_", id_length=22)
    found = replace(found, usage=replace(found.usage, reasoning=0))
    if streamed:
        return Reply(headers={"content-type": eventstream.CONTENT_TYPE}, events=_events(found))
    return _converse(found)


def question_of(model: str, body: Json) -> Question:
    """Read a Converse request; Nova's own body has the same form."""
    messages: list[Json] = body["messages"]
    config = body.get("toolConfig") or {}
    choice = config.get("toolChoice") or {"auto": {}}
    specs = [one["toolSpec"] for one in config.get("tools") or [] if "toolSpec" in one]
    content = messages[-1].get("content")
    blocks = content if isinstance(content, list) else []
    text_format = (body.get("outputConfig") or {}).get("textFormat") or {}
    schema = ((text_format.get("structure") or {}).get("jsonSchema") or {}).get("schema")
    limits = body.get("inferenceConfig") or {}
    return Question(
        model=model,
        system=text_of(body.get("system")),
        user=last_text(messages),
        prompt_tokens=count_input(messages, body.get("system"), specs),
        tools=tuple(
            Tool(one["name"], (one.get("inputSchema") or {}).get("json") or {}) for one in specs
        ),
        choice="required" if "any" in choice else "auto",
        forced=choice["tool"]["name"] if "tool" in choice else None,
        answered=any("toolResult" in one for one in blocks),
        schema=json.loads(schema) if isinstance(schema, str) else schema,
        max_tokens=limits.get("maxTokens") or limits.get("max_new_tokens"),
        transcript=text_of([one.get("content") for one in messages]),
        turns=(("system", text_of(body.get("system"))), *map(_turn, messages)),
    )


def _turn(message: Json) -> tuple[str, str]:
    content = message.get("content")
    results = [one["toolResult"] for one in content or () if "toolResult" in one]
    if results:
        return "tool", text_of([one.get("content") for one in results])
    return str(message.get("role")), text_of(content)


def _usage_block(usage: Usage) -> Json:
    return {
        "inputTokens": usage.prompt - usage.cached,
        "outputTokens": usage.completion,
        "totalTokens": usage.total,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": 0,
        "serverToolUsage": {},
    }


def stop_of(found: Answer) -> str:
    if found.calls:
        return "tool_use"
    return "max_tokens" if found.truncated else "end_turn"


def content_of(found: Answer) -> list[Json]:
    if not found.calls:
        return [{"text": found.text}]
    return [
        {"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}}
        for call in found.calls
    ]


def _converse(found: Answer) -> Reply:
    payload = {
        "metrics": {"latencyMs": 12},
        "output": {"message": {"role": "assistant", "content": content_of(found)}},
        "stopReason": stop_of(found),
        "usage": _usage_block(found.usage),
    }
    return json_reply(payload, usage=found.usage)


def _events(found: Answer) -> Iterator[Event]:
    def event(kind: str, payload: Json, usage: Usage | None = None) -> Event:
        return Event(eventstream.encode_event(kind, payload | {"p": _PADDING}), usage)

    yield event("messageStart", {"role": "assistant"})
    for index, call in enumerate(found.calls):
        place: Json = {"contentBlockIndex": index}
        start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
        yield event("contentBlockStart", place | {"start": start})
        for part in ["", *fragments(call.arguments)]:
            yield event("contentBlockDelta", place | {"delta": {"toolUse": {"input": part}}})
        yield event("contentBlockStop", place)
    if not found.calls:
        for piece in found.pieces:
            yield event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}})
        yield event("contentBlockStop", {"contentBlockIndex": 0})
    yield event("messageStop", {"stopReason": stop_of(found)})
    ending = {"usage": _usage_block(found.usage), "metrics": {"latencyMs": 12}}
    yield event("metadata", ending, found.usage)
