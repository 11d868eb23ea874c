"""`feedback`: what a user says about an answer or a conversation, as a span that carries it.

So it goes wherever the application's spans go, and in a store it becomes an evaluation by a HUMAN.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, TraceFlags

from clew.context.api import current
from clew.context.identity import as_json, encodable
from clew.context.ids import SESSION_ID, USER_ID, checked_id
from clew.context.pseudonyms import pseudonymise
from clew.core import counters
from clew.core.containment import contain
from clew.core.errors import EvaluationError
from clew.spans import evaluation_attributes as wire
from clew.spans.evaluation_attributes import Result
from clew.spans.feedback_provider import feedback_provider

logger = logging.getLogger("clew")

_NOBODY = "user"
"""Who says it where that is not known. On the page of ``clew view``, who has no name has no id."""
THUMBS, NOTE = "thumbs", "note"
"""The names under which the page of ``clew view`` keeps ratings, too."""
GOOD, BAD = "good", "bad"
UNTRACED = "feedback that was not recorded, because nothing is traced"
_MAX_LENGTHS = {"name": 200, "label": 200, "comment": 50_000}
_MAX_METADATA = 50_000
_HEX = {"trace_id": 32, "span_id": 16}
_warned = False


def feedback(
    score: float | None = None,
    label: str | None = None,
    comment: str | None = None,
    *,
    name: str | None = None,
    session_id: str | None = None,
    user_id: str | None = None,
    trace_id: str | int | None = None,
    span_id: str | int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> bool:
    """Record what a user says: a thumb, a label, a comment, or several of them at once.

    Where a session is named, it is about that session. Otherwise it is about the turn that the call
    is part of, or about the current session where there is no span around the call. Return whether
    it was recorded: it is not where nothing is traced, or the session is not sampled.

    >>> feedback(score=1, session_id="chat-42")  # doctest: +SKIP
    >>> feedback(label="bad", comment="That is my old address.", session_id="chat-42")
    ... # doctest: +SKIP

    Args:
        score: A number; 1 and 0, or True and False, are thumbs up and down.
        label: A word, such as ``good`` and ``bad``, which are thumbs up and down as well.
        comment: What the user writes.
        name: What was asked. It is ``thumbs``, or for a comment alone ``note``.
        session_id: Which session it is about; the current one if it is not given.
        user_id: Who says it; the current user if it is not given. What a user says later under the
            same name replaces what was said before.
        trace_id: With ``span_id``, which turn it is about: the ids of a span in it, as hexadecimal
            digits or as the integers of a ``SpanContext``.
        span_id: As ``trace_id``.
        metadata: More about it, which can be written as JSON.
    """
    result = _result(score, label, comment, name)
    written = _metadata(metadata)
    session = current().session_id if session_id is None else checked_id(session_id, "session_id")
    user = current().user_id if user_id is None else pseudonymise(checked_id(user_id, "user_id"))
    target = _target(trace_id, span_id)
    if target is None and session_id is None:
        target = _current_turn()
    if session is None and target is None:
        message = (
            "feedback is about a session, and there is none here: give session_id=, "
            "or call it inside using_session"
        )
        raise EvaluationError(message)
    try:
        result = replace(result, identifier=user or _NOBODY, metadata=written)
        return _record(result, session, user, target)
    except Exception:
        contain("recording feedback")
        return False


def _record(
    result: Result, session: str | None, user: str | None, target: SpanContext | None
) -> bool:
    provider = feedback_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        _warn_of_nothing_traced()
        return False
    said = {SESSION_ID: session, USER_ID: user}
    ids = {key: value for key, value in said.items() if value is not None}
    # In the trace that it is about, or in one of its own: not in that of the request with it.
    parent = Context(ids)
    attributes = {
        wire.KIND: wire.CARRIER_KIND,
        **ids,
        **result.attributes("session" if target is None else "trace"),
    }
    links = []
    if target is not None:
        root = {wire.TURN_ROOT: trace.format_span_id(target.span_id)}
        links = [Link(target, root)]
        parent = trace.set_span_in_context(trace.NonRecordingSpan(target), parent)
    span = provider.get_tracer("clew.feedback").start_span(
        "feedback", parent, attributes=attributes, links=links
    )
    if (event := result.event()) is not None:
        span.add_event(wire.EVENT, event)
    span.end()
    return span.get_span_context().trace_flags.sampled


def _current_turn() -> SpanContext | None:
    """Return the span that the call is in, or None if there is none."""
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid else None


def _target(trace_id: object, span_id: object) -> SpanContext | None:
    """Return the span of a turn that is named by the arguments."""
    if (trace_id is None) != (span_id is None):
        message = "give trace_id and span_id together: they name a span of the turn"
        raise EvaluationError(message)
    if trace_id is None:
        return None
    return SpanContext(
        _number("trace_id", trace_id),
        _number("span_id", span_id),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _number(name: str, given: object) -> int:
    digits = _HEX[name]
    if isinstance(given, str) and re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", given):
        given = int(given, 16)
    if isinstance(given, int) and not isinstance(given, bool) and 0 < given < 16**digits:
        return given
    message = (
        f"{name} must be {digits} hexadecimal digits, or the integer of a SpanContext, "
        f"not {_shown(given)}"
    )
    raise EvaluationError(message)


def _shown(given: object) -> str:
    return f"{given!r:.80}" if isinstance(given, str | int) else type(given).__name__


def _result(score: object, label: object, comment: object, name: object) -> Result:
    """Check the arguments, and return what they say."""
    texts = {"label": label, "comment": comment, "name": name}
    checked = {key: _text(key, value) for key, value in texts.items()}
    number = _score(score)
    if number is None and checked["label"] is None and checked["comment"] is None:
        message = "feedback says nothing: give score=, label= or comment="
        raise EvaluationError(message)
    alone = number is None and checked["label"] is None
    name_of_it = checked["name"] or (NOTE if alone else THUMBS)
    word = checked["label"]
    if name_of_it == THUMBS:
        if word is None and number in {0, 1}:
            word = GOOD if number else BAD
        elif number is None and word in {GOOD, BAD}:
            number = float(word == GOOD)
    return Result(name_of_it, number, word, checked["comment"], "HUMAN")


def _score(score: object) -> float | None:
    if score is None:
        return None
    try:
        if isinstance(score, int | float) and isfinite(score):
            return float(score)
    except OverflowError:  # A whole number that is greater than any float.
        pass
    message = f"score must be a finite number, not {_shown_number(score)}"
    raise EvaluationError(message)


def _shown_number(score: object) -> str:
    return f"{score!r:.80}" if isinstance(score, float) else type(score).__name__


def _text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        message = f"{name} must be a string, not {type(value).__name__}"
        raise EvaluationError(message)
    if len(value) > _MAX_LENGTHS[name]:
        message = (
            f"{name} has {len(value):,} characters; at most {_MAX_LENGTHS[name]:,} are allowed"
        )
        raise EvaluationError(message)
    if not value.strip():
        message = f"{name} is empty; to say nothing, leave it out"
        raise EvaluationError(message)
    return encodable(value)


def _metadata(metadata: object) -> str:
    if metadata is None:
        return ""
    if not isinstance(metadata, Mapping):
        message = f"metadata must be a mapping, not {type(metadata).__name__}"
        raise EvaluationError(message)
    try:
        written = as_json(metadata) or ""
    except (TypeError, ValueError) as error:
        message = f"metadata cannot be written as JSON: {error}"
        raise EvaluationError(message) from error
    if len(written) > _MAX_METADATA:
        message = f"metadata has {len(written):,} characters; at most {_MAX_METADATA:,} are allowed"
        raise EvaluationError(message)
    return written


def _warn_of_nothing_traced() -> None:
    """Warn, once in a process, that feedback is not recorded; count it each time."""
    global _warned
    counters.count(UNTRACED)
    if not _warned:
        _warned = True
        logger.warning(
            "clew: feedback(...) is not recorded, because nothing is traced: "
            "call clew.instrument_all() first, at the start of the program"
        )
