"""Makes an evaluation of what the function of an evaluator returned."""

from dataclasses import replace
from numbers import Real
from typing import Any

from clew.core.errors import EvaluationError
from clew.evaluations.evaluation import Evaluation, check

WHAT_TO_RETURN = "return a bool, a number, a label, an Evaluation, or None if it cannot be known"


def evaluation_of(value: Any, name: str, kind: str, version: str) -> Evaluation | None:
    """Return what the evaluator *name* said, without a target; None if it cannot be known."""
    if value is None:
        return None
    try:
        made = _completed(value, name) if isinstance(value, Evaluation) else _made(value, name)
        made = replace(made, annotator_kind=_kind(made, kind), version=version)
        check(replace(made, session_id="any"))
        _check_rest(made)
    except EvaluationError as error:
        message = f"evaluator {name!r} returned {_shown(value)}a {type(value).__name__}: {error}"
        raise EvaluationError(message) from None
    return made


def _shown(value: object) -> str:
    try:
        return f"{value!r:.200}, "
    except ValueError:  # An integer of more digits than Python writes.
        return ""


def _made(value: object, name: str) -> Evaluation:
    if isinstance(value, bool) or _is_numpy_bool(value):
        return Evaluation(name, score=float(bool(value)), label="yes" if value else "no")
    if isinstance(value, Real):
        return Evaluation(name, score=_as_float(value))
    if isinstance(value, str):
        return Evaluation(name, label=str.__str__(value))  # A member of an enum's value.
    raise EvaluationError(WHAT_TO_RETURN)


def _is_numpy_bool(value: object) -> bool:
    """Whether it is a bool of NumPy's, which is no bool of Python's."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    return kind == "b" and getattr(value, "shape", None) == ()


def _completed(given: Evaluation, name: str) -> Evaluation:
    if given.name and given.name != name:
        message = "its name must be the evaluator's; another name needs another evaluator"
        raise EvaluationError(message)
    if given.session_id or given.trace_id or given.root_id or given.span_id:
        message = "leave its ids out: it is about what the evaluator was given"
        raise EvaluationError(message)
    if given.withdraws:
        message = "it says nothing: give a score, a label or an explanation, or return None"
        raise EvaluationError(message)
    return replace(given, name=name)


def _kind(made: Evaluation, kind: str) -> str:
    return kind if made.annotator_kind == "CODE" else made.annotator_kind


def _check_rest(made: Evaluation) -> None:
    if made.label is not None and not made.label.strip():
        message = "its label is empty"
        raise EvaluationError(message)
    cost: Any = made.metadata.get("cost")
    if cost is not None and not (isinstance(cost, int | float) and 0 <= cost < float("inf")):
        message = f"metadata['cost']={cost!r:.80} must be US dollars, zero or more"
        raise EvaluationError(message)


def _as_float(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")  # Which is refused, with the value that it stands for.
