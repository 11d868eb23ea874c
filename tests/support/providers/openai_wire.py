"""OpenAI's wire: routing, errors, and the endpoints other than chat and responses."""

from __future__ import annotations

import base64
import struct
from dataclasses import replace
from typing import Any

from tests.support.providers import openai_chat, openai_responses
from tests.support.providers.answers import CREATED, count_input, new_id, text_of, vector
from tests.support.providers.exchange import Json, Reply, Request, json_reply

_ERRORS: dict[int, tuple[str, str, str | None]] = {
    400: ("The request is invalid.", "invalid_request_error", None),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("You do not have access to this resource.", "invalid_request_error", None),
    404: ("The requested resource does not exist.", "invalid_request_error", "model_not_found"),
    409: ("The resource was updated by another process.", "invalid_request_error", None),
    422: ("The request could not be processed.", "invalid_request_error", None),
    429: ("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    503: ("The engine is currently overloaded, please try again later.", "server_error", None),
}
_SERVER_ERROR = ("The server had an error while processing your request.", "server_error", None)


def error(status: int, message: str | None = None, param: str | None = None) -> Reply:
    """An error object; SDKs retry at once, for their wait between retries is a millisecond."""
    default, kind, code = _ERRORS.get(status, _SERVER_ERROR)
    body = {"message": message or default, "type": kind, "param": param, "code": code}
    headers = {"retry-after": "0", "retry-after-ms": "1", "x-request-id": new_id("req_", 32)}
    return json_reply({"error": body}, status, headers=headers)


def answer(request: Request) -> Reply:
    """Route a request to its endpoint."""
    path = request.path.removeprefix("/v1").rstrip("/")
    if request.method == "GET" and path.startswith("/models"):
        return _with_headers(_models(path.removeprefix("/models").strip("/")))
    endpoint = {
        "/chat/completions": openai_chat.chat,
        "/completions": openai_chat.completions,
        "/responses": openai_responses.answer,
        "/conversations": _conversation,
        "/embeddings": _embeddings,
        "/moderations": _moderations,
    }.get(path)
    if endpoint is None or request.method != "POST":
        return error(404, f"Invalid URL ({request.method} {request.path})")
    body = request.fields
    if path not in ("/conversations", "/moderations") and not body.get("model"):
        return error(400, "you must provide a model parameter")
    if path == "/chat/completions" and not body.get("messages"):
        return error(400, "Missing required parameter: 'messages'.", "messages")
    return _with_headers(endpoint(body))


def _with_headers(reply: Reply) -> Reply:
    return replace(reply, headers={**reply.headers, **_headers()})


def _headers() -> dict[str, str]:
    return {
        "x-request-id": new_id("req_", 32),
        "openai-organization": "example-org",
        "openai-processing-ms": "12",
        "openai-version": "2020-10-01",
    }


def _embeddings(body: Json) -> Reply:
    given = body.get("input") or ""
    is_many = isinstance(given, list) and not isinstance((given or [0])[0], int)
    inputs: list[Any] = list(given) if is_many else [given]
    tokens = sum(count_input(one) if isinstance(one, str) else len(one) for one in inputs)
    data = []
    for index, one in enumerate(inputs):
        numbers: Any = vector(str(one), int(body.get("dimensions") or 8))
        if body.get("encoding_format") == "base64":
            numbers = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
        data.append({"object": "embedding", "index": index, "embedding": numbers})
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    payload = {"object": "list", "data": data, "model": body["model"], "usage": usage}
    return json_reply(payload, embedding_tokens=tokens)


def _models(name: str) -> Reply:
    def model(identity: str) -> Json:
        return {"id": identity, "object": "model", "created": CREATED, "owned_by": "openai"}

    if name:
        return json_reply(model(name))
    known = ["gpt-4o-mini", "gpt-4o", "text-embedding-3-small"]
    return json_reply({"object": "list", "data": list(map(model, known))})


def _conversation(body: Json) -> Reply:
    payload = {
        "id": new_id("conv_", 48),
        "object": "conversation",
        "created_at": CREATED,
        "metadata": body.get("metadata") or {},
    }
    return json_reply(payload)


def _moderations(body: Json) -> Reply:
    categories = [
        "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit",
        "illicit/violent", "self-harm", "self-harm/instructions", "self-harm/intent", "sexual",
        "sexual/minors", "violence", "violence/graphic",
    ]  # fmt: skip
    given = body.get("input") or ""
    inputs = given if isinstance(given, list) else [given]
    result = {
        "flagged": False,
        "categories": dict.fromkeys(categories, False),
        "category_scores": dict.fromkeys(categories, 0.0001),
        "category_applied_input_types": {name: ["text"] for name in categories},
    }
    payload = {
        "id": new_id("modr-", 32),
        "model": body.get("model") or "omni-moderation-latest",
        "results": [result for one in inputs if text_of(one) or not one],
    }
    return json_reply(payload)
