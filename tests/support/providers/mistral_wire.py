"""Mistral's wire: chat, agents, fill-in-the-middle, embeddings, OCR, moderations, audio, errors.

Chat requests are those of OpenAI but for details; the answers differ in more: every stream states
its usage in the last chunk, a tool call comes whole in one delta, errors have several shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.support.providers import mistral_audio, mistral_conversations
from tests.support.providers.answers import (
    CREATED,
    Answer,
    Question,
    count_input,
    fragments,
    new_id,
    respond,
    subject_of,
    vector,
)
from tests.support.providers.exchange import (
    Event,
    Json,
    Reply,
    Request,
    Usage,
    json_reply,
    sse,
    sse_reply,
)
from tests.support.providers.openai_chat import finish_of, question_of

_ERRORS: dict[int, tuple[str, str, str | None]] = {
    400: ("Invalid request.", "invalid_request_error", "3051"),
    403: ("Forbidden.", "forbidden", "1403"),
    404: ("The requested resource does not exist.", "invalid_request_error", "1404"),
    429: ("Rate limit exceeded", "rate_limited", "1300"),
    503: ("Service unavailable.", "service_unavailable", "3000"),
}
_SERVER_ERROR = ("Service unavailable.", "internal_server_error", "1000")


def error(status: int, message: str | None = None) -> Reply:
    """An error in the shape Mistral gives to that status."""
    headers = {"retry-after": "0", "mistral-correlation-id": new_id("", 32)}
    default, kind, code = _ERRORS.get(status, _SERVER_ERROR)
    body: Json = {"object": "error", "message": message or default, "type": kind, "code": code}
    body |= {"param": None, "raw_status_code": status}
    if status == 401:
        body = {"detail": message or "Unauthorized"}
    elif status == 422:
        detail = {"type": "missing", "loc": ["body"], "msg": message or "Field required"}
        body = {"detail": [detail | {"input": {}}]}
    return json_reply(body, status, headers=headers)


def answer(request: Request) -> Reply:
    """Route a request to its endpoint."""
    body = request.fields
    path = request.path.removeprefix("/v1").rstrip("/")
    endpoint = {
        "/chat/completions": _chat,
        "/agents/completions": _chat,
        "/fim/completions": _fill_in,
        "/embeddings": _embeddings,
        "/ocr": _ocr,
        "/moderations": _moderations,
        "/chat/moderations": _moderations,
        "/classifications": _classifications,
        "/chat/classifications": _classifications,
    }.get(path)
    if request.method == "GET" and path == "/models":
        return json_reply({"object": "list", "data": [_model("mistral-small-latest")]})
    if request.method == "POST" and path.startswith("/conversations"):
        reply = mistral_conversations.answer(path, body)
    elif request.method == "POST" and path == "/audio/transcriptions":
        reply = mistral_audio.answer(request)
    elif endpoint is None or request.method != "POST":
        return error(404, "no Route matched with those values")
    elif endpoint is _chat and not body.get("messages"):
        return error(422)
    else:
        reply = endpoint(body)
    return replace(reply, headers={**reply.headers, "mistral-correlation-id": new_id("", 32)})


def usage_block(usage: Usage) -> Json:
    block: Json = {
        "prompt_tokens": usage.prompt,
        "total_tokens": usage.total,
        "completion_tokens": usage.completion,
    }
    if usage.cached:
        block["prompt_tokens_details"] = {"cached_tokens": usage.cached}
        block["num_cached_tokens"] = usage.cached
    return block


def _chat(body: Json) -> Reply:
    return _completion(body, question_of(body))


def _fill_in(body: Json) -> Reply:
    question = Question(
        model=body.get("model", ""),
        system="",
        user=str(body.get("prompt") or ""),
        prompt_tokens=count_input(body.get("prompt"), body.get("suffix")),
        max_tokens=body.get("max_tokens"),
    )
    return _completion(body, question)


def _completion(body: Json, question: Question) -> Reply:
    found = respond(question, call_id="", id_length=9)
    found = replace(found, usage=replace(found.usage, reasoning=0))
    model = body.get("model") or "mistral-large-latest"
    frame: Json = {"id": new_id("", 32), "created": CREATED, "model": model}
    if body.get("stream"):
        return sse_reply(_events(frame | {"object": "chat.completion.chunk"}, found))
    message: Json = {"role": "assistant", "tool_calls": _calls(found), "content": found.text}
    choice = {"index": 0, "finish_reason": finish_of(found), "message": message}
    payload = frame | {"object": "chat.completion", "choices": [choice]}
    return json_reply(payload | {"usage": usage_block(found.usage)}, usage=found.usage)


def _calls(found: Answer) -> list[Json] | None:
    calls: list[Json] = []
    for index, call in enumerate(found.calls):
        function = {"name": call.name, "arguments": "".join(fragments(call.arguments))}
        calls.append({"id": call.id, "type": "function", "function": function, "index": index})
    return calls or None


def _events(frame: Json, found: Answer) -> Iterator[Event]:
    def chunk(delta: Json, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return frame | {"choices": [choice]}

    yield sse(chunk({"role": "assistant", "content": ""}))
    for piece in found.pieces:
        yield sse(chunk({"content": piece}))
    last: Json = {"content": None, "tool_calls": _calls(found)} if found.calls else {"content": ""}
    ending = chunk(last, finish_of(found)) | {"usage": usage_block(found.usage)}
    yield sse(ending, usage=found.usage)
    yield sse("[DONE]")


def _embeddings(body: Json) -> Reply:
    given = body.get("input") or body.get("inputs") or ""
    inputs: list[Any] = given if isinstance(given, list) else [given]
    tokens = count_input(*inputs)
    size = int(body.get("output_dimension") or 8)
    data = [
        {"object": "embedding", "embedding": vector(str(one), size), "index": index}
        for index, one in enumerate(inputs)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0}
    payload = {"id": new_id("", 32), "object": "list", "data": data, "model": body.get("model")}
    return json_reply(payload | {"usage": usage}, embedding_tokens=tokens)


def _ocr(body: Json) -> Reply:
    document = body.get("document") or {}
    source = document.get("document_url") or document.get("image_url") or "a document"
    page = {
        "index": 0,
        "markdown": f"# A page\n\nText of {subject_of(str(source))}.",
        "images": [],
        "dimensions": {"dpi": 200, "height": 2200, "width": 1700},
        "tables": [],
        "hyperlinks": [],
        "header": None,
        "footer": None,
    }
    usage = {"pages_processed": 1, "doc_size_bytes": 1024}
    payload: Json = {"pages": [page], "model": body.get("model"), "usage_info": usage}
    return json_reply(payload | {"document_annotation": None})


def _moderations(body: Json) -> Reply:
    names = [
        "sexual", "hate_and_discrimination", "violence_and_threats", "selfharm", "health",
        "dangerous_and_criminal_content", "financial", "law", "pii",
    ]  # fmt: skip
    given = body.get("input") or ""
    inputs = given if isinstance(given, list) else [given]
    result = {
        "categories": dict.fromkeys(names, False),
        "category_scores": dict.fromkeys(names, 0.0001),
    }
    tokens = count_input(*inputs)
    usage = Usage(prompt=tokens, total=tokens)
    payload = {"id": new_id("", 32), "model": body.get("model"), "usage": usage_block(usage)}
    return json_reply(payload | {"results": [result for _ in inputs]}, usage=usage)


def _classifications(body: Json) -> Reply:
    given = body.get("input") or ""
    inputs = given if isinstance(given, list) else [given]
    tokens = count_input(*inputs)
    usage = Usage(prompt=tokens, total=tokens)
    result = {"tone": {"scores": {"friendly": 0.9, "hostile": 0.1}}}
    payload = {"id": new_id("", 32), "model": body.get("model"), "usage": usage_block(usage)}
    return json_reply(payload | {"results": [result for _ in inputs]}, usage=usage)


def _model(name: str) -> Json:
    capabilities = {"completion_chat": True, "function_calling": True, "vision": False}
    identity = {"id": name, "object": "model", "created": CREATED, "owned_by": "mistralai"}
    return identity | {"capabilities": capabilities, "type": "base"}
