"""The body of Anthropic's Claude on Bedrock: messages in, content blocks and their events out."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.providers.answers import (
    Answer,
    Question,
    Tool,
    count_input,
    fragments,
    last_text,
    new_id,
    text_of,
)
from tests.support.providers.exchange import Json, Usage


def question(model: str, body: Json) -> Question:
    messages: list[Json] = body["messages"]
    choice = body.get("tool_choice") or {"type": "auto"}
    kind = str(choice.get("type"))
    content = messages[-1].get("content")
    blocks = content if isinstance(content, list) else []
    tools = body.get("tools") or []
    return Question(
        model=model,
        system=text_of(body.get("system")),
        user=last_text(messages),
        prompt_tokens=count_input(messages, body.get("system"), tools),
        tools=tuple(
            Tool(one["name"], one["input_schema"]) for one in tools if "input_schema" in one
        ),
        choice={"any": "required"}.get(kind, kind),
        forced=choice.get("name") if kind == "tool" else None,
        answered=any(one.get("type") == "tool_result" for one in blocks),
        max_tokens=body.get("max_tokens"),
    )


def whole(model: str, found: Answer) -> Json:
    content: list[Json] = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
        for call in found.calls
    ]
    content = content or [{"type": "text", "text": found.text}]
    ending = {"stop_reason": _stop_of(found), "stop_sequence": None}
    return _message(model) | {"content": content} | ending | {"usage": _usage_block(found.usage)}


def chunks(model: str, found: Answer) -> Iterator[tuple[Json, Usage | None]]:
    """The events of a stream.

    Its start states the input tokens, and as output tokens 1 or 0, which only holds their place;
    its end states the output tokens. What a stream that breaks off has stated is the input alone.
    """
    usage = found.usage
    place = 0 if "from-zero" in model else 1
    first = Usage(prompt=usage.prompt, completion=place, cached=usage.cached)
    begun = Usage(prompt=usage.prompt, cached=usage.cached)
    rest = Usage(completion=usage.completion, total=usage.total)
    opening: Json = {"content": [], "stop_reason": None, "stop_sequence": None}
    message = _message(model) | opening | {"usage": _usage_block(first)}
    yield {"type": "message_start", "message": message}, begun
    for index, (block, deltas) in enumerate(_blocks(found)):
        yield {"type": "content_block_start", "index": index, "content_block": block}, None
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}, None
        yield {"type": "content_block_stop", "index": index}, None
    ending = {"stop_reason": _stop_of(found), "stop_sequence": None}
    counted = {"output_tokens": usage.completion}
    yield {"type": "message_delta", "delta": ending, "usage": counted}, rest
    yield {"type": "message_stop"}, None


def _blocks(found: Answer) -> Iterator[tuple[Json, list[Json]]]:
    for call in found.calls:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        parts = ["", *fragments(call.arguments)]
        yield block, [{"type": "input_json_delta", "partial_json": part} for part in parts]
    if not found.calls:
        deltas: list[Json] = [{"type": "text_delta", "text": piece} for piece in found.pieces]
        yield {"type": "text", "text": ""}, deltas


def _message(model: str) -> Json:
    name = model.rpartition("anthropic.")[2].partition("-v")[0]
    identity = {"id": new_id("msg_bdrk_", 24), "type": "message"}
    return identity | {"role": "assistant", "model": name}


def _usage_block(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt - usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.completion,
    }


def _stop_of(found: Answer) -> str:
    if found.calls:
        return "tool_use"
    return "max_tokens" if found.truncated else "end_turn"
