"""Receives spans over OTLP/HTTP and puts them into the store, from the page's server."""

from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from clew.store.http_body import BodyError, Memory, Taken, announced_length
from clew.store.receiver import Receiver, failure
from clew.store.receiver import Response as Answer
from clew.viewer.bodies import read_body
from clew.viewer.source import source_of

_STILL_SENT = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.SERVICE_UNAVAILABLE}
"""Where the connection stays: whoever is sending when it is closed may miss the answer."""


async def receive(request: Request) -> Response:
    """Answer a request to ``/v1/traces``."""
    receiver: Receiver = request.app.state.receiver
    headers = dict(request.headers)
    path = request.url.path
    if (source := source_of(request)) is not None:  # Where they would be deleted as unknown.
        message = f"this page shows a copy of {source.label}; send spans there"
        return _response(failure(HTTPStatus.FORBIDDEN, message, headers))
    if refusal := receiver.refusal(request.method, path, headers):
        return _response(refusal)
    memory: Memory = request.app.state.memory
    taken = Taken(memory)
    try:
        lengths = request.headers.getlist("content-length")
        codings = request.headers.getlist("transfer-encoding")
        announced_length(lengths, codings, memory.in_one)
        body = await read_body(request, taken.counted)
        answer = await run_in_threadpool(receiver, request.method, path, headers, body)
    except BodyError as error:
        answer = receiver.unread(error, headers)
        if error.status not in _STILL_SENT:
            return _response(answer, Connection="close")
    finally:
        taken.give_back()
    return _response(answer)


def _response(answer: Answer, **headers: str) -> Response:
    return Response(answer.body, answer.status, {**answer.headers, **headers})
