"""Bedrock's ``invoke`` operations, whose bodies are those of each model family.

A family reads its own request and writes its own answer, whole and as a list of stream chunks.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from tests.support.providers import bedrock_converse, claude_messages, eventstream
from tests.support.providers.answers import (
    Answer,
    Question,
    count_input,
    fragments,
    new_id,
    respond,
    vector,
)
from tests.support.providers.exchange import Event, Json, Reply, Usage, json_reply

Chunk = tuple[Json, Usage | None]
"""One chunk of a stream, and the usage it states."""


class UnreadableBodyError(ValueError):
    """The body is none that the model's family understands."""


def answer(model: str, body: Json, *, streamed: bool) -> Reply:
    """Answer an invocation of the model, with embeddings if that is what the model makes."""
    if "embed" in model:
        return _embedding(model, body)
    whole, chunks, question = _family(model, body)
    found = respond(question, call_id="toolu_bdrk_" if "anthropic" in model else "", id_length=24)
    found = replace(found, usage=replace(found.usage, reasoning=0))
    if streamed:
        headers = {
            "content-type": eventstream.CONTENT_TYPE,
            "x-amzn-bedrock-content-type": "application/json",
        }
        return Reply(headers=headers, events=_events(chunks(found), found.usage))
    return json_reply(whole(found), headers=_headers(found.usage), usage=found.usage)


def _headers(usage: Usage) -> dict[str, str]:
    return {
        "x-amzn-bedrock-input-token-count": str(usage.prompt - usage.cached),
        "x-amzn-bedrock-output-token-count": str(usage.completion),
        "x-amzn-bedrock-cache-read-input-token-count": str(usage.cached),
        "x-amzn-bedrock-cache-write-input-token-count": "0",
        "x-amzn-bedrock-invocation-latency": "12",
    }


def _events(chunks: Iterator[Chunk], usage: Usage) -> Iterator[Event]:
    """Frame the chunks; Bedrock adds metrics of its own to the last one, whatever the family."""
    metrics = {
        "inputTokenCount": usage.prompt - usage.cached,
        "outputTokenCount": usage.completion,
        "invocationLatency": 12,
        "firstByteLatency": 6,
        "cacheReadInputTokenCount": usage.cached,
        "cacheWriteInputTokenCount": 0,
    }
    waiting = next(chunks)
    for following in chunks:
        yield _framed(*waiting)
        waiting = following
    payload, stated = waiting
    yield _framed(payload | {"amazon-bedrock-invocationMetrics": metrics}, stated)


def _framed(payload: Json, usage: Usage | None) -> Event:
    encoded = base64.b64encode(json.dumps(payload, separators=(",", ":")).encode()).decode()
    return Event(eventstream.encode_event("chunk", {"bytes": encoded, "p": "abcdefgh"}), usage)


Whole = Callable[[Answer], Json]
Chunks = Callable[[Answer], Iterator[Chunk]]


def _family(model: str, body: Json) -> tuple[Whole, Chunks, Question]:
    if "anthropic" in model and "messages" in body:
        whole = partial(claude_messages.whole, model)
        chunks = partial(claude_messages.chunks, model)
        return whole, chunks, claude_messages.question(model, body)
    if "amazon.nova" in model and "messages" in body:
        return _nova, _nova_chunks, bedrock_converse.question_of(model, body)
    limits = body.get("textGenerationConfig") or body
    names = ("maxTokenCount", "max_gen_len", "max_tokens", "max_tokens_to_sample")
    prompt = body.get("inputText") or body.get("prompt")
    if not prompt:
        message = "Malformed input request, please reformat your input and try again."
        raise UnreadableBodyError(message)
    question = Question(
        model=model,
        system="",
        user=str(prompt).replace("\n\nHuman:", "").replace("\n\nAssistant:", ""),
        prompt_tokens=count_input(prompt),
        max_tokens=next((limits[name] for name in names if limits.get(name)), None),
    )
    families: dict[str, tuple[Whole, Chunks]] = {
        "amazon.titan": (_titan, _titan_chunks),
        "meta.llama": (_llama, _llama_chunks),
        "mistral.": (_mistral, _mistral_chunks),
        "anthropic.": (_claude_text, _claude_text_chunks),
    }
    for mark, family in families.items():
        if mark in model:
            return *family, question
    message = "The provided model identifier is invalid."
    raise UnreadableBodyError(message)


def _nova_usage(usage: Usage) -> Json:
    return {
        "inputTokens": usage.prompt - usage.cached,
        "outputTokens": usage.completion,
        "cacheReadInputTokenCount": usage.cached,
        "cacheWriteInputTokenCount": 0,
    }


def _nova(found: Answer) -> Json:
    message = {"role": "assistant", "content": bedrock_converse.content_of(found)}
    usage = _nova_usage(found.usage) | {"totalTokens": found.usage.total}
    stop = bedrock_converse.stop_of(found)
    return {"output": {"message": message}, "stopReason": stop, "usage": usage}


def _nova_chunks(found: Answer) -> Iterator[Chunk]:
    yield {"messageStart": {"role": "assistant"}}, None
    index = 0
    for call in found.calls:
        start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
        yield {"contentBlockStart": {"start": start, "contentBlockIndex": index}}, None
        for part in fragments(call.arguments):
            delta: Json = {"toolUse": {"input": part}}
            yield {"contentBlockDelta": {"delta": delta, "contentBlockIndex": index}}, None
        yield {"contentBlockStop": {"contentBlockIndex": index}}, None
        index += 1
    for piece in found.pieces:
        delta = {"text": piece}
        yield {"contentBlockDelta": {"delta": delta, "contentBlockIndex": index}}, None
        yield {"contentBlockStop": {"contentBlockIndex": index}}, None
        index += 1
    yield {"messageStop": {"stopReason": bedrock_converse.stop_of(found)}}, None
    metadata = {"usage": _nova_usage(found.usage), "metrics": {}, "trace": {}}
    yield {"metadata": metadata}, found.usage


def _titan(found: Answer) -> Json:
    result = {
        "tokenCount": found.usage.completion,
        "outputText": found.text,
        "completionReason": "LENGTH" if found.truncated else "FINISH",
    }
    return {"inputTextTokenCount": found.usage.prompt, "results": [result]}


def _titan_chunks(found: Answer) -> Iterator[Chunk]:
    nothing = {"totalOutputTextTokenCount": None, "completionReason": None}
    for piece in found.pieces:
        yield {"outputText": piece, "index": 0, "inputTextTokenCount": None} | nothing, None
    ending = {
        "outputText": "",
        "index": 0,
        "totalOutputTextTokenCount": found.usage.completion,
        "completionReason": "LENGTH" if found.truncated else "FINISH",
        "inputTextTokenCount": found.usage.prompt,
    }
    yield ending, found.usage


def _llama(found: Answer) -> Json:
    return {
        "generation": found.text,
        "prompt_token_count": found.usage.prompt,
        "generation_token_count": found.usage.completion,
        "stop_reason": "length" if found.truncated else "stop",
    }


def _llama_chunks(found: Answer) -> Iterator[Chunk]:
    for number, piece in enumerate(found.pieces, start=1):
        counts = {"prompt_token_count": None, "generation_token_count": number}
        yield {"generation": piece, "stop_reason": None} | counts, None
    yield _llama(found) | {"generation": ""}, found.usage


def _mistral(found: Answer) -> Json:
    stop = "length" if found.truncated else "stop"
    return {"outputs": [{"text": found.text, "stop_reason": stop}]}


def _mistral_chunks(found: Answer) -> Iterator[Chunk]:
    for piece in found.pieces:
        yield {"outputs": [{"text": piece, "stop_reason": None}]}, None
    yield _mistral(replace(found, text="")), found.usage


def _claude_text(found: Answer) -> Json:
    stop = "max_tokens" if found.truncated else "stop_sequence"
    text = {"type": "completion", "completion": f" {found.text}"}
    return text | {"stop_reason": stop, "stop": None if found.truncated else "\n\nHuman:"}


def _claude_text_chunks(found: Answer) -> Iterator[Chunk]:
    for piece in found.pieces:
        yield {"type": "completion", "completion": piece, "stop_reason": None, "stop": None}, None
    yield _claude_text(found) | {"completion": ""}, found.usage


def _embedding(model: str, body: Json) -> Reply:
    """Titan embeds one text, Cohere a list of them."""
    given = body.get("inputText") or body.get("texts") or ""
    tokens = count_input(given)
    headers = {"x-amzn-bedrock-input-token-count": str(tokens)}
    size = int(body.get("dimensions") or 8)
    payload: Json
    if "cohere" in model:
        payload = {
            "id": new_id("", 36),
            "texts": given,
            "embeddings": [vector(str(one), size) for one in given],
            "response_type": "embeddings_floats",
        }
    else:
        numbers = vector(str(given), size)
        payload = {"embedding": numbers, "inputTextTokenCount": tokens}
        if "v2" in model:
            payload["embeddingsByType"] = {"float": numbers}
    return json_reply(payload, headers=headers, embedding_tokens=tokens)
