"""OpenAI's chat completions and text completions, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.providers.answers import (
    CREATED,
    Answer,
    Question,
    Tool,
    count_input,
    fragments,
    last_text,
    new_id,
    pieces,
    respond,
    text_of,
)
from tests.support.providers.exchange import Event, Json, Reply, Usage, json_reply, sse, sse_reply

_FINGERPRINT = "fp_0123456789"


def usage_block(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def question_of(body: Json) -> Question:
    """Read a chat request. Mistral's has the same form but for a few names."""
    messages: list[Json] = body["messages"]
    wanted = body.get("response_format") or {}
    json_schema = wanted.get("json_schema") or {}
    choice = body.get("tool_choice") or "auto"
    forced = (choice.get("function") or {}).get("name") if isinstance(choice, dict) else None
    return Question(
        model=str(body.get("model") or body.get("agent_id") or ""),
        system=last_text(messages, "system") or last_text(messages, "developer"),
        user=last_text(messages),
        prompt_tokens=count_input(messages, body.get("tools")),
        tools=tuple(
            Tool(one["function"]["name"], one["function"].get("parameters") or {})
            for one in body.get("tools") or []
            if "function" in one
        ),
        choice={"any": "required"}.get(str(choice), str(choice)) if not forced else "auto",
        forced=forced,
        answered=messages[-1].get("role") == "tool",
        schema=json_schema.get("schema") or json_schema.get("schema_definition"),
        wants_json=wanted.get("type") == "json_object",
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        transcript=text_of([one.get("content") for one in messages]),
        turns=tuple((str(one.get("role")), text_of(one.get("content"))) for one in messages),
    )


def finish_of(answer: Answer) -> str:
    if answer.calls:
        return "tool_calls"
    return "length" if answer.truncated else "stop"


def _answers(body: Json) -> tuple[list[Answer], Usage]:
    """One answer per choice; the prompt is paid for once, every completion by itself."""
    answers = [respond(question_of(body)) for _ in range(int(body.get("n") or 1))]
    first = answers[0].usage
    completion = sum(one.usage.completion for one in answers)
    reasoning = sum(one.usage.reasoning for one in answers)
    total = first.prompt + completion
    return answers, Usage(first.prompt, completion, total, first.cached, reasoning)


def chat(body: Json) -> Reply:
    answers, usage = _answers(body)
    if body.get("stream"):
        return sse_reply(_chat_events(body, answers, usage))
    choices = [
        {
            "index": index,
            "message": _message(one),
            "logprobs": None,
            "finish_reason": finish_of(one),
        }
        for index, one in enumerate(answers)
    ]
    payload = {
        "id": new_id("chatcmpl-", 29),
        "object": "chat.completion",
        "created": CREATED,
        "model": body["model"],
        "choices": choices,
        "usage": usage_block(usage),
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }
    return json_reply(payload, usage=usage)


def _message(answer: Answer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or None}
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": "".join(fragments(call.arguments))},
            }
            for call in answer.calls
        ]
    return message | {"refusal": None, "annotations": []}


def _deltas(answer: Answer) -> Iterator[Json]:
    opening: Json = {"role": "assistant", "content": None if answer.calls else ""}
    for index, call in enumerate(answer.calls):
        function: Json = {"name": call.name, "arguments": ""}
        head = {"index": index, "id": call.id, "type": "function", "function": function}
        yield (opening if index == 0 else {}) | {"tool_calls": [head], "refusal": None}
        for part in fragments(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
    if not answer.calls:
        yield opening | {"refusal": None}
        yield from ({"content": piece} for piece in answer.pieces)


def _chat_events(body: Json, answers: list[Answer], usage: Usage) -> Iterator[Event]:
    options = body.get("stream_options") or {}
    frame: Json = {
        "id": new_id("chatcmpl-", 29),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": body["model"],
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }
    tail: Json = {"usage": None} if options.get("include_usage") else {}
    if options.get("include_obfuscation", True):
        tail["obfuscation"] = "x7"
    for index, one in enumerate(answers):
        choice: Json = {"index": index, "logprobs": None, "finish_reason": None}
        for delta in _deltas(one):
            yield sse(frame | {"choices": [choice | {"delta": delta}]} | tail)
        last = {"delta": {}, "finish_reason": finish_of(one)}
        yield sse(frame | {"choices": [choice | last]} | tail)
    if options.get("include_usage"):
        yield sse(frame | {"choices": []} | tail | {"usage": usage_block(usage)}, usage=usage)
    yield sse("[DONE]")


def completions(body: Json) -> Reply:
    prompt = body.get("prompt") or ""
    is_many = isinstance(prompt, list) and prompt and not isinstance(prompt[0], int)
    prompts = prompt if is_many else [prompt]
    answers = [
        respond(
            Question(
                model=body["model"],
                system="",
                user=one if isinstance(one, str) else "tokens",
                prompt_tokens=count_input(one) if isinstance(one, str) else len(one),
                max_tokens=body.get("max_tokens"),
            )
        )
        for one in prompts
    ]
    usage = sum((one.usage for one in answers), Usage())
    frame: Json = {
        "id": new_id("cmpl-", 29),
        "object": "text_completion",
        "created": CREATED,
        "model": body["model"],
    }
    if body.get("stream"):
        wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return sse_reply(_completion_events(frame, answers, usage, wants_usage=wants_usage))
    choices = [
        {"text": one.text, "index": index, "logprobs": None, "finish_reason": finish_of(one)}
        for index, one in enumerate(answers)
    ]
    payload = frame | {"choices": choices, "usage": usage_block(usage)}
    return json_reply(payload, usage=usage)


def _completion_events(
    frame: Json, answers: list[Answer], usage: Usage, *, wants_usage: bool
) -> Iterator[Event]:
    tail: Json = {"usage": None} if wants_usage else {}
    for index, one in enumerate(answers):
        choice: Json = {"index": index, "logprobs": None, "finish_reason": None}
        for piece in pieces(one.text):
            yield sse(frame | {"choices": [choice | {"text": piece}]} | tail)
        last = {"text": "", "finish_reason": finish_of(one)}
        yield sse(frame | {"choices": [choice | last]} | tail)
    if wants_usage:
        yield sse(frame | {"choices": [], "usage": usage_block(usage)}, usage=usage)
    yield sse("[DONE]")
