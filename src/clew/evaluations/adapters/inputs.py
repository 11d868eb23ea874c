"""What the packages of others are given of a session or a turn, under the names they use."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn

from clew.core.errors import EvaluationError
from clew.evaluations.evaluators import value_of
from clew.evaluations.judging.windows import window
from clew.sessions.model import Turn
from clew.sessions.session import Session

Inputs = Callable[..., Mapping[str, Any] | Awaitable[Mapping[str, Any]]]
"""Returns what an evaluator is given, from what its level says: a session, or a turn."""
_MAX_TOKENS = 32_000


def inputs_of(subject: Session | Turn) -> dict[str, Any]:
    """Return the fields that templates name: ``input``, ``output``, ``context`` and more.

    Of a session, ``input`` is what was asked first, ``output`` what was answered last, and
    ``conversation`` all of it, as a judge is shown it; ``coverage`` says which turns that are.
    """
    if isinstance(subject, Turn):
        return {
            "input": subject.input.text,
            "output": subject.output.text,
            "context": "\n\n".join(documents_of(subject)),
            "messages": messages_of([subject]),
        }
    turns = list(subject.turns)
    shown = window(subject, _MAX_TOKENS)
    return {
        "input": turns[0].input.text if turns else "",
        "output": turns[-1].output.text if turns else "",
        "conversation": shown.lines,
        "coverage": shown.coverage,
        "messages": messages_of(turns),
        "session_id": subject.id,
        "user_id": subject.user_id,
    }


def messages_of(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Return what was said in *turns*, as messages with a role and a content."""
    said = [message for turn in turns for message in (turn.input, turn.output)]
    return [{"role": it.role, "content": it.text} for it in said if it.text]


def documents_of(turn: Turn) -> list[str]:
    """Return the texts of all documents that were found for a turn."""
    return [document.text for call in turn.calls for document in call.documents]


def as_json(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what can be kept of a package's own metadata."""
    found: dict[str, Any] = json.loads(json.dumps(given, default=str, skipkeys=True))
    return found


def check_level(level: str) -> None:
    """Raise if an adapter is not made for this *level*."""
    if level not in {"session", "turn"}:
        message = f"level={level!r} of an adapter must be session or turn"
        raise EvaluationError(message)


def check_inputs(inputs: Any) -> None:
    """Raise if *inputs* is nothing that can be called."""
    if not callable(inputs):
        message = (
            f"inputs={inputs!r:.80} of an adapter must be a function of what is judged, which "
            "returns the fields by their names"
        )
        raise EvaluationError(message)


async def fields_of(inputs: Inputs, subject: Session | Turn) -> dict[str, Any]:
    """Return what *inputs*, asynchronous or not, makes of what is judged."""
    found: Any = await value_of(inputs, subject)
    if not isinstance(found, Mapping):
        called = getattr(inputs, "__name__", None) or type(inputs).__name__
        message = (
            f"inputs={called} returned {found!r:.80}; it must return the fields by their names, "
            "as a dict"
        )
        raise EvaluationError(message)
    return dict(found)


def refuse(adapter: str, needed: str, given: Any) -> NoReturn:
    """Raise the error that an adapter was given something else than it needs."""
    message = f"{adapter} needs {needed}, not {given!r:.80}"
    if isinstance(given, type):
        name = given.__name__
        message = f"{adapter} needs {needed}, not the class {name}: give {name}(...)"
    raise EvaluationError(message)
