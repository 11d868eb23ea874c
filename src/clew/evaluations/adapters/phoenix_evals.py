"""Runs an evaluator of phoenix-evals on sessions or turns."""

from typing import Any, Literal

from clew.core.errors import EvaluationError
from clew.evaluations.adapters.inputs import (
    Inputs,
    as_json,
    check_inputs,
    check_level,
    fields_of,
    inputs_of,
    refuse,
)
from clew.evaluations.evaluation import Evaluation
from clew.evaluations.evaluators import Evaluator
from clew.sessions.model import Turn
from clew.sessions.session import Session

_BETTER = {"maximize": True, "minimize": False}


def from_phoenix_evals(
    evaluator: Any,
    *,
    level: Literal["session", "turn"] = "session",
    inputs: Inputs = inputs_of,
    score: str | None = None,
    name: str | None = None,
    version: str = "",
) -> Evaluator:
    """Make an evaluator of one of phoenix-evals, such as ``create_classifier`` returns.

    Args:
        evaluator: It is given the fields that its template names.
        level: What it judges.
        inputs: Makes these fields of what is judged; by default ``input``, ``output`` and
            ``context`` of a turn, and of a session ``conversation``, with ``input`` and ``output``.
        score: The name of the score to keep, if it returns more than one.
        name: What its result is called; as the evaluator is.
        version: Change it with the evaluator.
    """
    check_level(level)
    check_inputs(inputs)
    if isinstance(evaluator, type) or not hasattr(evaluator, "async_evaluate"):
        needed = "an evaluator of phoenix-evals, such as create_classifier(...) returns"
        refuse("from_phoenix_evals", needed, evaluator)
    called = name or evaluator.name

    async def evaluate(subject: Session | Turn) -> Evaluation | None:
        fields = await fields_of(inputs, subject)
        found = await evaluator.async_evaluate(fields)
        chosen = [it for it in found if score in {None, it.name}]
        if len(chosen) != 1:
            names = ", ".join(repr(it.name) for it in found)
            message = f"{called!r} of phoenix-evals returned the scores {names}: say score=..."
            raise EvaluationError(message)
        (one,) = chosen
        if one.score is None and not one.label:
            return None
        covered = {"coverage": fields["coverage"]} if "coverage" in fields else {}
        return Evaluation(
            called,
            score=one.score,
            label=one.label or None,
            explanation=one.explanation or None,
            metadata={**as_json(one.metadata), **covered},
        )

    return Evaluator(
        evaluate,
        called,
        level=level,
        version=version,
        kind="LLM" if evaluator.kind == "llm" else "CODE",
        higher_is_better=_BETTER.get(evaluator.direction),
    )
