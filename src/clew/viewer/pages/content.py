"""All of one text of a turn, of which the conversation shows the beginning."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from clew.sessions.model import Turn
from clew.viewer.contents import MAX_PAGE, excerpt
from clew.viewer.parts import is_markdown, parse_turn_key, text_of
from clew.viewer.readers import readers_of
from clew.viewer.rendering import page


def content(request: Request) -> Response:
    """Answer a request to the page of a text."""
    turn, part, text = _found(request)
    markdown = is_markdown(turn, part)
    return page(
        request,
        "content.html",
        turn=turn,
        title=_title(part),
        length=len(text),
        raw=f"/content.txt?{request.url.query}",
        text=excerpt(text, MAX_PAGE, markdown=markdown),
    )


def content_text(request: Request) -> Response:
    """Answer a request to a text as it is, without anything around it."""
    _, _, text = _found(request)
    return PlainTextResponse(text.encode("utf-8", "replace"))


def _found(request: Request) -> tuple[Turn, str, str]:
    trace, root = parse_turn_key(request.query_params.get("turn", ""))
    part = request.query_params.get("text", "")
    with readers_of(request).lend() as reader:
        turn = reader.turn(trace, root)
    return turn, part, text_of(turn, part)


def _title(part: str) -> str:
    last = [word for word in part.split(".") if not word.isdecimal()][-1]
    return {"input": "Message", "output": "Answer", "request": "Arguments"}.get(
        last, last.capitalize()
    )
