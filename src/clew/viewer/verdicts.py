"""Verdicts: what evaluators, judges and other programs say, and where an evaluator failed.

One is out of date where spans have come that it has not seen: of the session, if it is about the
session; of its trace, if it is about a turn. An evaluator that failed has said nothing: that is
shown as an error, never as a score.
"""

from dataclasses import dataclass
from datetime import datetime

from clew.evaluations import Evaluation
from clew.sessions.store import SessionStore
from clew.viewer.contents import one_line
from clew.viewer.rendering import href
from clew.viewer.wording import moment_of

_MAX_TEXT = 1000
_KINDS = {"LLM": "a model", "CODE": "a program"}

_LAST_OF_SESSION = "SELECT last_span AS last FROM session WHERE session_id = ?"
_LAST_OF_TRACE = (  # What is said about a trace is put into it, and does not make it go on.
    "SELECT max(id) AS last FROM span WHERE trace_id = ? AND openinference_kind IS NOT 'EVALUATOR'"
)
_ERRORS = """
SELECT root_id, name, version, error, attempts, made_ns FROM evaluation_error
WHERE session_id = ? AND trace_id = ? ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a program says, or that it could not say anything."""

    name: str
    value: str = ""
    """A label, a score, or both."""
    text: str = ""
    by: str = ""
    """Which program it is, in which version."""
    made: datetime | None = None
    is_stale: bool = False
    is_error: bool = False
    history: str = ""
    """The page with everything that was ever said under this name; empty if there is no link."""


def last_span(store: SessionStore, session_id: str, trace: bytes | None) -> int:
    """Return how far the spans go of a trace, or with None of a session."""
    rows = (
        store.sql(_LAST_OF_SESSION, (session_id,))
        if trace is None
        else store.sql(_LAST_OF_TRACE, (trace,))
    )
    return int(rows[0]["last"] or 0) if rows else 0


def verdict_of(it: Evaluation, last: int, history: str) -> Verdict:
    """Return what a program says, given how far the spans of its target go."""
    score = [] if it.score is None else [f"{it.score:.3g}"]
    words = [*([] if it.label is None else [it.label]), *score]
    return Verdict(
        name=one_line(it.name, 60),
        value=one_line(" · ".join(words), 60),
        text=one_line(it.explanation or "", _MAX_TEXT),
        by=_by(it.annotator_kind, it.identifier, it.version),
        made=it.made,
        is_stale=it.seen is not None and it.seen < last,
        history=href(history, name=it.name) if history else "",
    )


def errors_of(
    store: SessionStore, session_id: str, trace: bytes | None
) -> list[tuple[bytes, Verdict]]:
    """Return the evaluators that failed at a trace or its turns, with None at the session.

    Each comes with the root of its turn, which is empty where it is about more than a turn.
    """
    return [
        (
            row["root_id"],
            Verdict(
                name=one_line(row["name"], 60),
                text=one_line(row["error"], _MAX_TEXT),
                by=", ".join(filter(None, (_version(row["version"]), _attempts(row["attempts"])))),
                made=moment_of(row["made_ns"]),
                is_error=True,
            ),
        )
        for row in store.sql(_ERRORS, (session_id, trace or b""))
    ]


def _by(kind: str, identifier: str, version: str) -> str:
    parts = (identifier, _KINDS.get(kind, kind), _version(version))
    return one_line(f"by {', '.join(filter(None, parts))}", 80)


def _version(version: str) -> str:
    return f"version {one_line(version, 40)}" if version else ""


def _attempts(number: int) -> str:
    return "" if number <= 1 else f"tried {number} times"
