"""OpenAI's Responses API: output items instead of choices, and a stream of typed events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.providers.answers import (
    CREATED,
    Answer,
    Question,
    Tool,
    ToolCall,
    count_input,
    fragments,
    last_text,
    new_id,
    pieces,
    respond,
    text_of,
)
from tests.support.providers.exchange import Event, Json, Reply, Usage, json_reply, sse, sse_reply


def answer(body: Json) -> Reply:
    """Answer a request, echoing what it continues: a previous response or a conversation."""
    found = respond(_question(body))
    output = _output(found)
    response = _response(body, found) | {"output": output}
    if body.get("stream"):
        return sse_reply(_events(response, output, found.usage))
    return json_reply(response, usage=found.usage)


def _question(body: Json) -> Question:
    given = body.get("input") or ""
    items: list[Json] = given if isinstance(given, list) else [{"role": "user", "content": given}]
    wanted = (body.get("text") or {}).get("format") or {}
    choice = body.get("tool_choice") or "auto"
    last = items[-1] if items else {}
    return Question(
        model=body["model"],
        system=body.get("instructions")
        or last_text(items, "system")
        or last_text(items, "developer"),
        user=last_text(items),
        prompt_tokens=count_input(items, body.get("tools"), body.get("instructions")),
        tools=tuple(
            Tool(one["name"], one.get("parameters") or {})
            for one in body.get("tools") or []
            if one.get("type") == "function"
        ),
        choice=choice if isinstance(choice, str) else "auto",
        forced=choice.get("name") if isinstance(choice, dict) else None,
        answered=last.get("type") == "function_call_output",
        schema=wanted.get("schema"),
        wants_json=wanted.get("type") == "json_object",
        max_tokens=body.get("max_output_tokens"),
        transcript=text_of([one.get("content") for one in items]),
    )


def _usage_block(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def _response(body: Json, found: Answer) -> Json:
    conversation = body.get("conversation")
    if isinstance(conversation, str):
        conversation = {"id": conversation}
    return {
        "id": new_id("resp_", 48),
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if found.truncated else "completed",
        "background": False,
        "completed_at": None if found.truncated else CREATED,
        "conversation": conversation,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if found.truncated else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": None,
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": None,
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_logprobs": 0,
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation") or "disabled",
        "usage": _usage_block(found.usage),
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _output(found: Answer) -> list[Json]:
    items: list[Json] = []
    if found.usage.reasoning:
        items.append({"id": new_id("rs_", 48), "type": "reasoning", "summary": []})
    if found.calls:
        return items + [_call_item(call) for call in found.calls]
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": found.text}
    message = {
        "id": new_id("msg_", 48),
        "type": "message",
        "status": "incomplete" if found.truncated else "completed",
        "content": [part],
        "role": "assistant",
    }
    return [*items, message]


def _call_item(call: ToolCall) -> Json:
    return {
        "id": new_id("fc_", 48),
        "type": "function_call",
        "status": "completed",
        "arguments": "".join(fragments(call.arguments)),
        "call_id": call.id,
        "name": call.name,
    }


def _events(response: Json, output: list[Json], usage: Usage) -> Iterator[Event]:
    """The stream's events, numbered; the last carries the whole response and its usage."""
    unfinished: Json = {
        "completed_at": None,
        "output": [],
        "usage": None,
        "incomplete_details": None,
    }
    started = response | unfinished | {"status": "in_progress"}
    plain: list[tuple[str, Json]] = [
        ("response.created", {"response": started}),
        ("response.in_progress", {"response": started}),
    ]
    for index, item in enumerate(output):
        plain += _item_events(index, item)
    for number, (kind, payload) in enumerate(plain):
        yield sse({"type": kind, "sequence_number": number} | payload, name=kind)
    kind = f"response.{response['status']}"
    end = {"type": kind, "sequence_number": len(plain), "response": response}
    yield sse(end, name=kind, usage=usage)


def _item_events(index: int, item: Json) -> list[tuple[str, Json]]:
    place: Json = {"output_index": index}
    spot: Json = place | {"item_id": item["id"]}
    opened: Json = dict(item)
    events: list[tuple[str, Json]] = []
    if item["type"] == "function_call":
        opened |= {"status": "in_progress", "arguments": ""}
        text = item["arguments"]
        kind = "response.function_call_arguments"
        events += [
            (f"{kind}.delta", spot | {"delta": text[start : start + 8], "obfuscation": "x7"})
            for start in range(0, len(text), 8)
        ]
        events.append((f"{kind}.done", spot | {"arguments": text, "name": item["name"]}))
    elif item["type"] == "message":
        opened |= {"status": "in_progress", "content": []}
        events += _text_events(spot | {"content_index": 0}, item["content"][0])
    added = ("response.output_item.added", place | {"item": opened})
    return [added, *events, ("response.output_item.done", place | {"item": item})]


def _text_events(spot: Json, part: Json) -> list[tuple[str, Json]]:
    text: str = part["text"]
    extra: Any = {"logprobs": [], "obfuscation": "x7"}
    deltas = [
        ("response.output_text.delta", spot | {"delta": piece} | extra) for piece in pieces(text)
    ]
    return [
        ("response.content_part.added", spot | {"part": part | {"text": ""}}),
        *deltas,
        ("response.output_text.done", spot | {"text": text, "logprobs": []}),
        ("response.content_part.done", spot | {"part": part}),
    ]
