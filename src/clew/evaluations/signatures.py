"""Checks how the function of an evaluator can be called, when it is decorated."""

import inspect
from collections.abc import Callable
from typing import Any, Literal, get_type_hints

from clew.core.errors import EvaluationError
from clew.evaluations.returned import WHAT_TO_RETURN
from clew.sessions.model import Call, Turn
from clew.sessions.session import Session

Level = Literal["session", "turn", "call"]
SUBJECTS: dict[str, tuple[type, ...]] = {
    "session": (Session,),
    "turn": (Turn, Session),
    "call": (Call, Turn, Session),
}
"""What a function of each level is given: what it judges, and what that is a part of."""
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NONE = inspect.Parameter.empty


def number_taken(function: Callable[..., Any], name: str, level: str) -> int:
    """Return with how many arguments *function* is called; raise if it cannot be called so."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        message = f"evaluator {name!r} is a generator, which yields: {WHAT_TO_RETURN}"
        raise EvaluationError(message)
    kinds = SUBJECTS[level]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # Some that are written in C do not tell.
        return 1
    parameters = list(signature.parameters.values())
    positional = [it for it in parameters if it.kind in _POSITIONAL]
    required = sum(it.default is _NONE for it in positional)
    takes_all = any(it.kind is inspect.Parameter.VAR_POSITIONAL for it in parameters)
    by_name = any(it.kind is it.KEYWORD_ONLY and it.default is _NONE for it in parameters)
    if by_name or required > len(kinds) or not (positional or takes_all):
        offered = ", ".join(kind.__name__.lower() for kind in kinds)
        message = (
            f"evaluator {name!r} of level {level!r} is called with ({offered}), or fewer from the "
            f"left, and its function takes {signature}"
        )
        raise EvaluationError(message)
    taken = len(kinds) if takes_all else max(1, required)
    _check_annotations(function, name, level, [it.name for it in positional[:taken]])
    return taken


def _check_annotations(
    function: Callable[..., Any], name: str, level: str, arguments: list[str]
) -> None:
    try:
        hints = get_type_hints(function)
    except Exception:  # What cannot be resolved here says nothing.
        return
    for argument, wanted in zip(arguments, SUBJECTS[level], strict=False):
        hint = hints.get(argument)
        if hint in SUBJECTS["call"] and hint is not wanted:
            message = (
                f"evaluator {name!r} of level {level!r} is given a {wanted.__name__} as "
                f"{argument!r}, which is annotated as a {hint.__name__}: change the level or the "
                "arguments"
            )
            raise EvaluationError(message)
