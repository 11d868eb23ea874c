"""Evaluation: what somebody says about a session, a turn, a trace or a span."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any

from clew.context import ids
from clew.core.errors import EvaluationError

MAX_NAME = 200
"""Characters of a name, a kind and a label."""
MAX_EXPLANATION = 50_000
_MAX_TEXTS = {
    "name": MAX_NAME,
    "annotator_kind": MAX_NAME,
    "identifier": ids.MAX_LENGTH,  # It may be the id of a user.
    "label": MAX_NAME,
    "version": MAX_NAME,
    "explanation": MAX_EXPLANATION,
    "session_id": 10_000,
}
_BYTES = {"trace_id": 16, "root_id": 8, "span_id": 8}
_LATEST = 2**63 - 1
_NUMBERS = {
    "made_ns": "nanoseconds since 1970, as of time.time_ns()",
    "seen": "the number of a span in the store",
}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a person, a model or a program says about a session, a turn, a trace or a span.

    It is about the whole session, unless it names a trace, with the root of a turn or a span in it.
    Of the same target, name and identifier, the evaluation of whoever had seen most counts, and of
    those the one that was added last. One that has neither score, label nor explanation withdraws
    what was said before.
    """

    name: str = ""
    """What was asked, such as ``thumbs`` or ``solved``; what an evaluator returns needs none."""
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    session_id: str = ""
    """Empty for a turn, a trace or a span outside of any session."""
    trace_id: bytes | None = None
    root_id: bytes | None = None
    """The ``Turn.root_id`` of a turn."""
    span_id: bytes | None = None
    annotator_kind: str = "CODE"
    """``HUMAN``, ``LLM``, ``CODE``, or a kind of one's own."""
    identifier: str = ""
    """Who says it, if several do."""
    metadata: Mapping[str, object] = field(default_factory=dict)
    made_ns: int | None = None
    """When it was made, in nanoseconds since 1970; when it was added, if that is not given."""
    version: str = ""
    """Which version of an evaluator says it."""
    seen: int | None = None
    """The number, in the store, of the last span that whoever says it has seen; if that is not
    given, of the last one that was stored when it was added."""
    id: int | None = None
    """Its number in the store, which grows with each that is added; None before that."""

    @property
    def withdraws(self) -> bool:
        """Whether it withdraws what was said before."""
        return self.score is None and self.label is None and self.explanation is None

    @property
    def made(self) -> datetime | None:
        """When it was made, in local time."""
        if self.made_ns is None:
            return None
        return datetime.fromtimestamp(self.made_ns / 1e9).astimezone()


def check(given: Evaluation) -> None:
    """Raise `EvaluationError` if an evaluation cannot be kept."""
    for name, limit in _MAX_TEXTS.items():
        _check_text(name, getattr(given, name), limit)
    _check_numbers(given)
    _check_target(given)
    try:
        metadata_json(given.metadata)
    except (TypeError, ValueError) as error:
        message = f"metadata={given.metadata!r:.80} cannot be written as a JSON object: {error}"
        raise EvaluationError(message) from None


def metadata_json(metadata: Mapping[str, object]) -> str:
    """Return *metadata* as JSON, which has no NaN and no infinity: they become null."""
    text = json.dumps(dict(metadata))
    if "NaN" in text or "Infinity" in text:
        text = json.dumps(json.loads(text, parse_constant=lambda _: None))
    return text


def _check_text(name: str, value: Any, limit: int) -> None:
    if value is None and name in {"label", "explanation"}:
        return
    if not isinstance(value, str):
        message = f"{name}={value!r:.80} must be a string, not {type(value).__name__}"
        raise EvaluationError(message)
    if len(value) > limit:
        message = f"{name} has {len(value):,} characters; at most {limit:,} can be kept"
        raise EvaluationError(message)
    if name in {"name", "annotator_kind"} and not value.strip():
        message = f"{name} is empty; every evaluation has one"
        raise EvaluationError(message)


def _check_numbers(given: Evaluation) -> None:
    score: Any = given.score
    try:
        is_number = score is None or (isinstance(score, int | float) and isfinite(score))
    except OverflowError:  # A whole number that is greater than any float.
        is_number = False
    if not is_number:
        message = f"score={score!r:.80} must be a finite number, or None"
        raise EvaluationError(message)
    for name, meaning in _NUMBERS.items():
        value: Any = getattr(given, name)
        if value is not None and not (isinstance(value, int) and 0 <= value <= _LATEST):
            message = f"{name}={value!r:.80} must be {meaning}"
            raise EvaluationError(message)


def _check_target(given: Evaluation) -> None:
    for name, length in _BYTES.items():
        value: Any = getattr(given, name)
        if value is not None and (not isinstance(value, bytes) or len(value) != length):
            message = f"{name}={value!r:.80} must be {length} bytes, as in a Turn"
            raise EvaluationError(message)
    if given.trace_id is None and (given.root_id is not None or given.span_id is not None):
        message = "root_id and span_id are those of a trace: give trace_id, too"
        raise EvaluationError(message)
    if not given.session_id and given.trace_id is None:
        message = "an evaluation is about something: give session_id, trace_id, or both"
        raise EvaluationError(message)
