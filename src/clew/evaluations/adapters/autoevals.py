"""Runs a scorer of autoevals on turns or sessions."""

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

from clew.core.errors import EvaluationError
from clew.evaluations.adapters.inputs import (
    Inputs,
    as_json,
    check_inputs,
    check_level,
    fields_of,
    inputs_of,
    messages_of,
    refuse,
)
from clew.evaluations.evaluation import Evaluation
from clew.evaluations.evaluators import Evaluator
from clew.sessions.model import Turn
from clew.sessions.session import Session

_NOT_GIVEN = {"messages", "session_id", "user_id"}


def from_autoevals(
    scorer: Any,
    *,
    level: Literal["session", "turn"] = "turn",
    inputs: Inputs = inputs_of,
    name: str | None = None,
    version: str = "",
    higher_is_better: bool | None = True,
) -> Evaluator:
    """Make an evaluator of a scorer of autoevals, of a turn unless another level is given.

    Args:
        scorer: It is given ``input``, ``output`` and ``context``. Templates may also name
            ``{{thread}}`` and what belongs to it.
        level: What it judges.
        inputs: Makes what it is given of what is judged, with ``expected``, say.
        name: What its result is called; as the scorer is.
        version: Change it with the scorer.
        higher_is_better: False for scorers of a fault, None where neither is better.
    """
    check_level(level)
    check_inputs(inputs)
    scorer = _made(scorer)
    called = name or getattr(scorer, "name", None) or type(scorer).__name__

    async def evaluate(subject: Session | Turn) -> Evaluation | None:
        fields = await fields_of(inputs, subject)
        covered = {"coverage": fields.pop("coverage")} if "coverage" in fields else {}
        given = {key: value for key, value in fields.items() if key not in _NOT_GIVEN}
        given.setdefault("trace", _Thread(subject))
        if _is_asynchronous(scorer):
            found = await scorer.eval_async(**given)
        else:
            found = await asyncio.to_thread(scorer.eval, **given)
        if found.score is None:
            return None
        said: Mapping[str, Any] = found.metadata or {}
        choice, rationale = said.get("choice"), said.get("rationale")
        rest = {key: it for key, it in said.items() if key not in {"choice", "rationale"}}
        return Evaluation(
            called,
            score=found.score,
            label=None if choice is None else str(choice),
            explanation=None if rationale is None else str(rationale),
            metadata={**as_json(rest), **covered},
        )

    return Evaluator(
        evaluate,
        called,
        level=level,
        version=version,
        kind="LLM" if hasattr(scorer, "client") else "CODE",
        higher_is_better=higher_is_better,
    )


def _made(scorer: Any) -> Any:
    """Return a scorer, made of its class if that is what was given."""
    if not all(callable(getattr(scorer, it, None)) for it in ("eval", "eval_async")):
        refuse("from_autoevals", "a scorer of autoevals, such as Levenshtein()", scorer)
    if not isinstance(scorer, type):
        return scorer
    try:
        return scorer()
    except TypeError as error:
        name = scorer.__name__
        message = f"from_autoevals cannot make a {name} ({error!s:.200}): give {name}(...)"
        raise EvaluationError(message) from error


class _Thread:
    """What was said, in the form in which scorers of conversations read it."""

    def __init__(self, subject: Session | Turn) -> None:
        self._subject = subject

    async def get_thread(self, options: object = None) -> list[dict[str, str]]:
        it = self._subject
        return messages_of([it] if isinstance(it, Turn) else list(it.turns))


def _is_asynchronous(scorer: Any) -> bool:
    client = getattr(scorer, "client", None)
    return type(getattr(client, "openai", client)).__name__.startswith("Async")
