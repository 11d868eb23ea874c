"""One call of a turn: everything that was sent to a model, and what came back."""

from starlette.requests import Request
from starlette.responses import Response

from clew.sessions.model import Call
from clew.viewer.conversation import message_view, step_view
from clew.viewer.parts import parse_turn_key
from clew.viewer.readers import readers_of
from clew.viewer.rendering import page

_MAX_MESSAGE = 2_000
_MESSAGES_SHOWN = 30


def call(request: Request) -> Response:
    """Answer a request to the page of a call."""
    trace, root = parse_turn_key(request.query_params.get("turn", ""))
    text = request.query_params.get("call", "")
    with readers_of(request).lend() as reader:
        turn = reader.turn(trace, root)
    index = int(text) if text.isdecimal() and len(text) < 6 else -1
    if not 0 <= index < len(turn.calls):
        message = f"there is no call {text[:20]!r} in this turn"
        raise LookupError(message)
    found = turn.calls[index]
    everything = request.query_params.get("all") == "1"
    hidden = 0 if everything else max(0, len(found.input) - _MESSAGES_SHOWN)
    # The first message, normally the system's prompt, and the last ones.
    shown = [n for n in range(len(found.input)) if n == 0 or n > hidden]
    return page(
        request,
        "call.html",
        turn=turn,
        call=found,
        index=index,
        step=step_view(turn, index),
        hidden=hidden,
        unsaid=_unsaid(found),
        input=[
            message_view(turn, found.input[n], f"call.{index}.input.{n}", _MAX_MESSAGE)
            for n in shown
        ],
        output=[
            message_view(turn, message, f"call.{index}.output.{n}", _MAX_MESSAGE)
            for n, message in enumerate(found.output)
        ],
    )


def _unsaid(found: Call) -> list[str]:
    """Return what was sent besides the user's last message, in words."""
    roles = [message.role for message in found.input]
    system = sum(role in {"system", "developer"} for role in roles)
    last_user = max((n for n, role in enumerate(roles) if role == "user"), default=len(roles))
    earlier = sum(role not in {"system", "developer"} for role in roles[:last_user])
    words = []
    if system:
        words.append("the system prompt" if system == 1 else f"{system} system prompts")
    if earlier:
        words.append(f"{earlier} earlier message{'' if earlier == 1 else 's'}")
    return words
