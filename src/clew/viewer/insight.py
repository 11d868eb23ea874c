"""What the signals say about the turns of a session, as the page shows it.

A session that is not scored yet has no figures; they come as soon as it is, in the open page, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from clew.sessions.model import BadTurn, Finding, Turn
from clew.sessions.scoring import findings_of
from clew.sessions.session import Session
from clew.sessions.signals.meanings import meaning, why
from clew.sessions.signals.usual import Usual, usual_of
from clew.sessions.signals.weights import weights
from clew.viewer.contents import one_line
from clew.viewer.pictures import Mark
from clew.viewer.readers import Reader
from clew.viewer.rendering import href
from clew.viewer.wording import cost, duration, likelihood

Key = tuple[bytes, bytes]
"""The trace and the root of a turn."""
_MOST_WORDS = 200
_MEASURED = {"slow", "dear"}
"""Signals whose words are figures, not a quotation."""

_SCORES = "SELECT trace_id, root_id, friction, failure FROM turn_score WHERE session_id = ?"
_FINDINGS = """
SELECT findings FROM turn_score WHERE session_id = ? AND trace_id = ? AND root_id = ?
"""
_USUAL = """
SELECT (end_ns - start_ns) / 1e9 AS seconds, cost FROM (
    SELECT * FROM turn ORDER BY start_ns DESC LIMIT 1000
) WHERE said
"""


class TurnScore(NamedTuple):
    """How likely a turn is bad."""

    friction: float
    failure: float

    @property
    def is_annoyed(self) -> bool:
        """Whether the user is called annoyed."""
        return self.friction >= weights().user.threshold

    @property
    def is_failed(self) -> bool:
        """Whether something is said to have failed."""
        return self.failure >= weights().failure_threshold


@dataclass(frozen=True, slots=True)
class Noticed:
    """One thing that was noticed in a turn."""

    what: str
    words: str
    is_quoted: bool
    """Whether the words were said or returned; else they are figures."""
    href: str
    """The span that it is about, among those of its trace; empty where nothing is linked."""


@dataclass(frozen=True, slots=True)
class TurnInsight:
    """What is said about a turn."""

    friction: str = ""
    """The figure, where it is notable."""
    failure: str = ""
    noticed: Sequence[Noticed] = ()
    is_outlier: bool = False
    """Whether it took longer, or cost more, than 95 % of the newest turns."""

    @property
    def is_notable(self) -> bool:
        """Whether it is shown at once, not only where somebody asks."""
        return bool(self.friction or self.failure or self.is_outlier)


@dataclass(frozen=True, slots=True)
class Bad:
    """A bad turn, as it is shown in the head of its session."""

    number: int
    """As the page counts."""
    kind: str
    """``friction`` or ``failure``."""
    why: str
    words: str
    cause: str
    """The address of the span that caused it."""


@dataclass(frozen=True, slots=True)
class SessionInsight:
    """What is said about a session."""

    is_scored: bool
    friction: str = ""
    failure: str = ""
    annoyed_in: int | None = None
    """The turn with the most friction, if it is so much that the user is called annoyed."""
    failed_in: int | None = None
    first: Bad | None = None
    worst: Bad | None = None
    outcome: str = "unknown"


def read_scores(reader: Reader, session_id: str) -> dict[Key, TurnScore]:
    """Return how likely each turn of a session is bad; nothing if it is not scored yet."""
    return {
        (trace, root): TurnScore(friction, failure)
        for trace, root, friction, failure in reader.tuples(_SCORES, (session_id,))
    }


def mark_of(number: int, nanoseconds: int, errors: int, score: TurnScore | None) -> Mark:
    """Return the mark of a turn in the picture of its session."""
    return Mark(
        number,
        nanoseconds / 1e9,
        errors,
        is_failed=score is not None and score.is_failed,
        is_annoyed=score is not None and score.is_annoyed,
    )


def read_usual(reader: Reader) -> Usual:
    """Return what the newest turns of all sessions usually take and cost."""
    rows = reader.rows(_USUAL)
    costs = [row["cost"] for row in rows if row["cost"] is not None]
    return usual_of([row["seconds"] for row in rows], costs)


def session_insight(
    session: Session, keys: Sequence[Key], scores: Mapping[Key, TurnScore], *, linked: bool = True
) -> SessionInsight:
    """Return what is said about a session with these turns, in the order in which they are shown.

    The page counts turns that are still running, too: it finds a turn by its ids.
    """
    outcome = one_line(session.outcome, 60)
    if session.friction is None or session.failure is None:
        return SessionInsight(is_scored=False, outcome=outcome)
    numbers = {key: number for number, key in enumerate(keys, 1)}
    known = {numbers[key]: it for key, it in scores.items() if key in numbers}
    annoyed = [number for number, it in known.items() if it.is_annoyed]
    failed = [number for number, it in known.items() if it.is_failed]

    def shown(bad: BadTurn | None) -> Bad | None:
        number = bad and numbers.get((bad.trace_id, bad.root_id))
        if bad is None or not number:
            return None
        cause = span_href(bad.cause_trace_id, bad.cause_id) if linked else ""
        return Bad(number, bad.kind, why(bad), one_line(bad.words, _MOST_WORDS), cause)

    return SessionInsight(
        is_scored=True,
        friction=likelihood(session.friction),
        failure=likelihood(session.failure),
        annoyed_in=max(annoyed, key=lambda it: (known[it].friction, -it), default=None),
        failed_in=max(failed, key=lambda it: (known[it].failure, -it), default=None),
        first=shown(session.first_bad_turn),
        worst=shown(session.worst_turn),
        outcome=outcome,
    )


def turn_insight(
    reader: Reader, turn: Turn, score: TurnScore | None, usual: Usual, *, linked: bool = True
) -> TurnInsight:
    """Return what is said about a turn, and whether it is an outlier among all turns."""
    outliers = list(_outliers(turn, usual))
    stored = reader.rows(_FINDINGS, (turn.session_id, turn.trace_id, turn.root_id))
    found = [
        *(it for row in stored for it in findings_of(row["findings"]) if it.name != "pleased"),
        *outliers,
    ]
    return TurnInsight(
        likelihood(score.friction) if score and score.is_annoyed else "",
        likelihood(score.failure) if score and score.is_failed else "",
        [
            Noticed(
                meaning(it.name),
                one_line(it.words, _MOST_WORDS),
                it.name not in _MEASURED,
                span_href(turn.trace_id, it.span_id) if linked else "",
            )
            for it in sorted(found, key=lambda it: -it.score)
        ],
        bool(outliers),
    )


def _outliers(turn: Turn, usual: Usual) -> Iterable[Finding]:
    """Yield that a turn took longer, or cost more, than 95 % of the newest turns."""
    if usual.seconds is not None and turn.seconds > usual.seconds > 0:
        slowest = max(turn.calls, key=lambda it: it.seconds, default=None)
        words = f"{duration(turn.seconds)}, 95 % of turns take at most {duration(usual.seconds)}"
        yield Finding("slow", 0.1, slowest.span_id if slowest else turn.root_id, words)
    if usual.cost is not None and turn.cost is not None and turn.cost > usual.cost > 0:
        dearest = max(turn.calls, key=lambda it: it.cost or 0.0, default=None)
        words = f"{cost(turn.cost)}, 95 % of turns cost at most {cost(usual.cost)}"
        yield Finding("dear", 0.1, dearest.span_id if dearest else turn.root_id, words)


def span_href(trace: bytes, span: bytes) -> str:
    """Return the address of a span among the others of its trace."""
    address: dict[str, Any] = {"trace": trace.hex(), "span": span.hex()}
    return f"{href('/trace', **address)}#span-{span.hex()}"
