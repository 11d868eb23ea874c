"""Bedrock's wire: routing to the operations, AWS errors, and failures within event streams."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.support.providers import (
    bedrock_agents,
    bedrock_converse,
    bedrock_invoke,
    bedrock_knowledge,
    eventstream,
)
from tests.support.providers.answers import count_input, new_id
from tests.support.providers.exchange import Event, Json, Reply, Request, json_reply

_ERRORS = {
    400: ("ValidationException", "The provided request is not valid."),
    401: ("UnrecognizedClientException", "The security token included in the request is invalid."),
    403: ("AccessDeniedException", "You don't have access to the model with the given model ID."),
    404: ("ResourceNotFoundException", "Could not find the requested resource."),
    408: ("ModelTimeoutException", "The model took too long to process the request."),
    424: ("ModelErrorException", "The model returned an error while processing the request."),
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request."),
}
_SERVER_ERROR = ("InternalServerException", "The system encountered an unexpected error.")
_MODEL_PATH = re.compile(r"/model/(?P<model>.+)/(?P<operation>[a-z-]+)")


def error(status: int, message: str | None = None) -> Reply:
    """An AWS error: its type is named in a header, its message is in the body."""
    kind, default = _ERRORS.get(status, _SERVER_ERROR)
    headers = {"x-amzn-errortype": kind, "x-amzn-requestid": new_id("", 36), "retry-after": "0"}
    return json_reply({"message": message or default}, status, headers=headers)


def breakage(status: int) -> Event:
    """The exception event by which a stream reports that it failed after its 200."""
    kind, message = _ERRORS.get(status, _SERVER_ERROR)
    if kind == "ModelErrorException":
        kind = "ModelStreamErrorException"
    return Event(eventstream.encode_exception(kind[0].lower() + kind[1:], message))


def answer(request: Request) -> Reply:
    """Route a request to its operation."""
    try:
        reply = _route(request)
    except bedrock_invoke.UnreadableBodyError as unreadable:
        return error(400, str(unreadable))
    if reply.events is not None:
        reply = replace(reply, breakage=breakage)
    return replace(reply, headers={"x-amzn-requestid": new_id("", 36), **reply.headers})


def _route(request: Request) -> Reply:
    body, path = request.fields, request.path
    if path.startswith("/agents/"):
        return bedrock_agents.answer(path, body)
    if path.startswith(("/knowledgebases/", "/retrieveAndGenerate", "/guardrail/")):
        return bedrock_knowledge.answer(path, body) or error(404)
    matched = _MODEL_PATH.fullmatch(path)
    return _model(matched["model"], matched["operation"], body) if matched else error(404)


def _model(model: str, operation: str, body: Json) -> Reply:
    if operation in ("invoke", "invoke-with-response-stream"):
        return bedrock_invoke.answer(model, body, streamed=operation != "invoke")
    if operation == "count-tokens":
        return json_reply({"inputTokens": count_input(body.get("input"))})
    if operation not in ("converse", "converse-stream"):
        return error(404)
    if not body.get("messages"):
        return error(400, "The conversation must start with a user message.")
    return bedrock_converse.answer(model, body, streamed=operation == "converse-stream")
