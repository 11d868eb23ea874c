"""Answers to who asks for what is not in the store, but maybe on its engine."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from clew.core.wording import number_of
from clew.sessions.store import SessionNotFoundError
from clew.viewer.readers import Reader, readers_of
from clew.viewer.rendering import is_for_a_program, page
from clew.viewer.source import Source

_SECONDS_TO_COPY = 2.0
"""How long a page waits for what it shows, before it says that it is coming."""


def bring(request: Request, source: Source, wanted: str | bytes) -> Response:
    """Have *source* copy a session or a trace; say that it comes, has come, or why it does not."""
    brought = source.bring(wanted, _SECONDS_TO_COPY)
    kind, name = ("trace", wanted.hex()) if isinstance(wanted, bytes) else ("session", repr(wanted))
    status, seconds, title = 404, 0, "Not found"
    message = f"There is no {kind} {name} in {source.label}, of the time that is looked at."
    if brought.traces is None:
        status, seconds, title = 202, 1, f"This {kind} is on its way"
        message = f"It is being copied from {source.label}, and shown here as soon as it has come."
    elif brought.traces and _has_come(request, wanted):
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


def _has_come(request: Request, wanted: str | bytes) -> bool:
    with readers_of(request).lend() as reader:
        return reader.has(wanted) if isinstance(wanted, bytes) else is_there(reader, wanted)


def is_there(reader: Reader, session_id: str) -> bool:
    """Whether a session is in the store already."""
    try:
        reader.sessions.get(session_id)
    except SessionNotFoundError:
        return False
    return True
