"""Receives spans over OTLP/HTTP and puts them into the store, from the page's server."""

from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from clew.store.receiver import Receiver, failure
from clew.store.receiver import Response as Answer
from clew.viewer.source import source_of


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
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > receiver.max_bytes:
            too_large = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            message = f"more than {receiver.max_bytes} bytes; export fewer spans at once"
            return _response(failure(too_large, message, headers))
    answer = await run_in_threadpool(receiver, request.method, path, headers, bytes(body))
    return _response(answer)


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers))
