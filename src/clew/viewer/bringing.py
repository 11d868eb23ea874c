"""Answers to who asks for what is not in the store, but maybe on its engine."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from clew.core.wording import number_of
from clew.sessions.store import SessionNotFoundError
from clew.viewer.readers import Reader, readers_of
from clew.viewer.rendering import is_for_a_program, page
from clew.viewer.source import Brought, Source

_SECONDS_TO_COPY = 2.0
"""How long a page waits for what it shows, before it says that it is coming."""


def bring(request: Request, source: Source, session_id: str) -> Response:
    """Have *source* copy a session; say that it comes, that it has come, or why it does not."""
    brought = source.bring(session_id, _SECONDS_TO_COPY)

    def has_come(reader: Reader) -> bool:
        return is_there(reader, session_id)

    return _answer(request, source, brought, ("session", repr(session_id)), has_come)


def bring_trace(request: Request, source: Source, trace_id: bytes) -> Response:
    """Do the same for a trace."""
    brought = source.bring_trace(trace_id, _SECONDS_TO_COPY)

    def has_come(reader: Reader) -> bool:
        return reader.has(trace_id)

    return _answer(request, source, brought, ("trace", trace_id.hex()), has_come)


def _answer(
    request: Request,
    source: Source,
    brought: Brought,
    wanted: tuple[str, str],
    has_come: Callable[[Reader], bool],
) -> Response:
    kind, name = wanted
    status, seconds, title = 404, 0, "Not found"
    message = f"There is no {kind} {name} in {source.label}, of the time that is looked at."
    if brought.traces is None:
        status, seconds, title = 202, 1, f"This {kind} is on its way"
        message = f"It is being copied from {source.label}, and shown here as soon as it has come."
    elif brought.traces and _has_come(request, has_come):
        return RedirectResponse(f"{request.url.path}?{request.url.query}", 303)
    elif brought.trouble:
        status, seconds, title = 503, 5, f"This {kind} cannot be copied now"
        message = brought.trouble
    elif brought.traces:
        traces = number_of(brought.traces, "trace")
        message = f"The {kind} {name} has {traces} in {source.label}, and no turn in them."
    if is_for_a_program(request):
        answer: Response = PlainTextResponse(f"{title}. {message}", status)
    else:
        answer = page(request, "problem.html", status=status, title=title, message=message)
    if seconds:
        answer.headers["Refresh"] = answer.headers["Retry-After"] = str(seconds)
    return answer


def _has_come(request: Request, has_come: Callable[[Reader], bool]) -> bool:
    with readers_of(request).lend() as reader:
        return has_come(reader)


def is_there(reader: Reader, session_id: str) -> bool:
    """Whether a session is in the store already."""
    try:
        reader.sessions.get(session_id)
    except SessionNotFoundError:
        return False
    return True
