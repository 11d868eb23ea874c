"""Ratings: what people say about sessions and turns on the page: thumbs, a label, a note.

Each is an evaluation by a human, of the name ``thumbs``, ``label`` or ``note``; its identifier is
the name that the person has given, if any. What others say is shown beside it, and below what
programs say (`verdicts`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, unquote

from starlette.requests import Request

from clew import evaluations
from clew.evaluations import Evaluation, EvaluationError
from clew.evaluations.results import read_where
from clew.sessions.model import Turn
from clew.sessions.store import SessionStore
from clew.viewer.contents import one_line
from clew.viewer.rendering import href
from clew.viewer.verdicts import Verdict, errors_of, last_span, verdict_of

NAMES = ("thumbs", "label", "note")
SCORES = {"good": 1.0, "bad": 0.0}
MAX_NOTE = 20_000
MAX_WORD = 100
"""Characters of a label, and of the name that a person gives."""
COOKIE = "clew_name"
_MOST_OTHERS = 12
_MAX_REMARK = 1000
"""Characters of what others say that are shown."""

Key = tuple[bytes, bytes] | None
"""What names a turn, or None for the whole session."""


@dataclass(slots=True)
class Remark:
    """What another person or a program says."""

    head: str
    """Who a person is; what a program looked at."""
    value: str = ""
    """A label, a score, or both."""
    text: str = ""
    by: str = ""
    """Which program it is."""
    thumbs: str = ""
    """``good``, ``bad``, or empty."""
    made: datetime | None = None


@dataclass(slots=True)
class Rating:
    """What is said about one turn, or about the whole session."""

    action: str
    """Where its forms are sent."""
    history: str
    """The page with everything that was ever said about it."""
    what: str
    thumbs: str = ""
    """What the person who looks at the page has said: ``good``, ``bad``, or nothing."""
    label: str = ""
    note: str = ""
    who: str = ""
    token: str = ""
    others: list[Remark] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    """What programs say."""

    @property
    def invitation(self) -> str:
        """What is written where nothing is noted."""
        return "Note on the session" if self.what == "this session" else "Note"

    @property
    def shown(self) -> Sequence[Remark]:
        """What others say, up to a number of remarks."""
        return self.others[-_MOST_OTHERS:]


class Ratings:
    """What is said about a session and its turns, as one person sees it."""

    def __init__(
        self, store: SessionStore, session_id: str, who: str | None, token: str = "", start: int = 1
    ) -> None:
        """Know the page, which begins with the turn *start*, and who looks at it.

        If *who* is None nobody does, and what everybody says is what others say.
        """
        self._store = store
        self._session_id = session_id
        self._who = who
        self._token = token
        self._start = start
        self._said: dict[Key, list[Evaluation]] = {}
        self._errors: dict[Key, list[Verdict]] = {}
        self._last: dict[bytes | None, int] = {}
        self._traces: set[bytes] = set()
        self._read(None)

    def read(self, traces: Iterable[bytes]) -> None:
        """Read what is said about the turns of these traces."""
        for trace in set(traces) - self._traces:
            self._traces.add(trace)
            self._read(trace)

    def _read(self, trace: bytes | None) -> None:
        for it in said_in(self._store, self._session_id, trace):
            self._said.setdefault(_key_of(it), []).append(it)
            if it.annotator_kind != "HUMAN" and trace not in self._last:
                self._last[trace] = last_span(self._store, self._session_id, trace)
        for root, error in errors_of(self._store, self._session_id, trace):
            self._errors.setdefault(None if trace is None else (trace, root), []).append(error)

    def session(self) -> Rating:
        """Return what is said about the whole session."""
        return self.of(None, 0)

    def turn(self, turn: Turn, number: int) -> Rating:
        """Return what is said about a turn."""
        return self.of((turn.trace_id, turn.root_id), number)

    def rated_bad(self, turns: Iterable[tuple[bytes, bytes]]) -> list[int]:
        """Return the numbers of those of the *turns* that anybody rated bad."""
        rows = self._store.sql(_BAD, (self._session_id,))
        bad = {(row["trace_id"], row["root_id"]) for row in rows}
        return [number for number, key in enumerate(turns, 1) if key in bad]

    def of(self, key: Key, number: int) -> Rating:
        """Return what is said about the turn that *key* and *number* name, or the session."""
        what = "this session" if key is None else f"turn {number}"
        turn = "" if key is None else f"{key[0].hex()}-{key[1].hex()}"
        target = {"session": self._session_id, "turn": turn, "number": number or None}
        action = href("/evaluations", **target, start=self._start if self._start > 1 else None)
        said = Rating(
            action, href("/history", **target), what, who=self._who or "", token=self._token
        )
        # What is about a trace or a span, and not about a turn, is shown at each turn of the trace.
        found = self._said.get(key, []) + (self._said.get((key[0], b""), []) if key else [])
        people: dict[str, Remark] = {}
        for it in found:
            if it.annotator_kind != "HUMAN":
                shown = said.history if self._who is not None else ""
                said.verdicts.append(verdict_of(it, self._last.get(key and key[0], 0), shown))
            elif it.name not in NAMES:
                said.others.append(_remark(it))
            elif it.identifier == self._who:
                _add_own(said, it)
            else:
                if it.identifier not in people:
                    people[it.identifier] = Remark(one_line(it.identifier or "Somebody", 40))
                    said.others.append(people[it.identifier])
                _add_to(people[it.identifier], it)
        said.verdicts += self._errors.get(key, [])
        if key and key[1]:
            said.verdicts += self._errors.get((key[0], b""), [])
        return said


@dataclass(frozen=True, slots=True)
class Counts:
    """How many people have rated a session or one of its turns good or bad, or noted something."""

    good: int
    bad: int
    notes: int


_BAD = """
SELECT DISTINCT trace_id, root_id FROM current_evaluation
WHERE session_id = ? AND annotator_kind = 'HUMAN' AND +name = 'thumbs' AND label = 'bad'
"""
_COUNTS = """
SELECT session_id, sum(name = 'thumbs' AND label = 'good') AS good,
    sum(name = 'thumbs' AND label = 'bad') AS bad, sum(name IN ('label', 'note')) AS notes
FROM current_evaluation WHERE annotator_kind = 'HUMAN' AND session_id IN ({marks})
GROUP BY session_id
"""


def counts(store: SessionStore, session_ids: Sequence[str]) -> dict[str, Counts]:
    """Return how these sessions are rated, those of them that are."""
    query = _COUNTS.format(marks=", ".join("?" * len(session_ids)))
    return {
        row["session_id"]: Counts(row["good"], row["bad"], row["notes"])
        for row in store.sql(query, session_ids)
    }


def are_there(store: SessionStore) -> bool:
    """Whether a person has rated anything."""
    query = "SELECT EXISTS (SELECT 1 FROM evaluation WHERE annotator_kind = 'HUMAN') AS found"
    return bool(store.sql(query)[0]["found"])


def said_in(
    store: SessionStore, session_id: str, trace: bytes | None, *, current_ones: bool = True
) -> list[Evaluation]:
    """Return what is said about a trace of a session and its turns; with None, about the session.

    A session may have very many evaluations, and a page shows few of them.
    """
    parameters = (session_id, trace)
    condition = "session_id = ? AND trace_id IS ?"
    return read_where(store, condition, parameters, current_ones=current_ones)


def is_about(it: Evaluation, key: Key) -> bool:
    """Whether it is about this turn, or its trace, or with None about the whole session."""
    own = _key_of(it)
    return own == key or (own is not None and key is not None and own == (key[0], b""))


def person(request: Request) -> str:
    """Return the name that the person who sends the request has given; empty if there is none."""
    return unquote(request.cookies.get(COOKIE, ""), errors="replace")[:MAX_WORD].strip()


def as_cookie(who: str) -> str:
    """Return a name as it stands in a cookie."""
    return quote(who, safe="")


def save(
    store: SessionStore, session_id: str, key: Key, who: Sequence[str], fields: Mapping[str, str]
) -> None:
    """Keep what a form contains, as far as it is different from what the person said before.

    A field that is not there is left as it is, and so is one that the person has not changed: what
    the form showed may be out of date. An empty one withdraws what was said. The last of *who* is
    the person's name; before it stands the name until now, where it has changed.
    """
    wanted = _checked(fields)
    before, name_now = who[0], who[-1]
    if before in {"", name_now}:
        wanted = {name: text for name, text in wanted.items() if text != _shown(name, fields)}
    own = _own(store, session_id, key, name_now)
    added = []
    if name_now and not before:
        # The person has just given a name: what was said here without one is said under it now.
        for name, text in _own(store, session_id, key, "").items():
            added.append(_evaluation(session_id, key, "", name, ""))
            if name not in own:
                wanted.setdefault(name, text)
    for name, text in wanted.items():
        if text != own.get(name, ""):
            added.append(_evaluation(session_id, key, name_now, name, text))
    if added:
        evaluations.add(store, *added)


def name_of(fields: Mapping[str, str]) -> str | None:
    """Return the name that the person gives in a form; None if it is as it was on the page."""
    if "who" not in fields or fields["who"] == fields.get("knew"):
        return None
    who = " ".join(fields["who"].split())
    _limit("your name", who, MAX_WORD)
    return who


def _shown(name: str, fields: Mapping[str, str]) -> str | None:
    """Return what a form showed before the person changed anything; None if it does not say."""
    text = fields.get(f"was_{name}")
    return None if text is None else _normalised(name, text)


def _normalised(name: str, text: str) -> str:
    """Return what is kept of a text: browsers send lines in a way of their own."""
    if name == "label":
        return " ".join(text.split())
    return text.replace("\r\n", "\n").strip() if name == "note" else text


def _checked(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the text of each of `NAMES` in a form."""
    wanted = {name: _normalised(name, fields[name]) for name in NAMES if name in fields}
    if not wanted:
        message = "the form says nothing: send thumbs, label or note"
        raise EvaluationError(message)
    thumbs = wanted.get("thumbs", "")
    if thumbs not in {"", "good", "bad"}:
        message = f"thumbs={thumbs[:40]!r} is not known; it is good or bad, or empty"
        raise EvaluationError(message)
    if "label" in wanted:
        _limit("the label", wanted["label"], MAX_WORD)
    if "note" in wanted:
        _limit("the note", wanted["note"], MAX_NOTE)
    return wanted


def _limit(what: str, text: str, most: int) -> None:
    if len(text) > most:
        message = f"{what} has {len(text):,} characters; at most {most:,} can be kept"
        raise EvaluationError(message)


def _own(store: SessionStore, session_id: str, key: Key, who: str) -> dict[str, str]:
    """Return what a person says about a target, by name."""
    said = Rating("", "", "")
    for it in said_in(store, session_id, key and key[0]):
        is_person = it.annotator_kind == "HUMAN" and it.identifier == who
        if is_person and it.name in NAMES and _key_of(it) == key:
            _add_own(said, it)
    return {name: text for name in NAMES if (text := getattr(said, name))}


def _evaluation(session_id: str, key: Key, who: str, name: str, text: str) -> Evaluation:
    trace, root = key or (None, None)
    return Evaluation(
        name,
        score=SCORES.get(text) if name == "thumbs" else None,
        label=(text or None) if name != "note" else None,
        explanation=(text or None) if name == "note" else None,
        session_id=session_id,
        trace_id=trace,
        root_id=root,
        annotator_kind="HUMAN",
        identifier=who,
    )


def _add_own(said: Rating, it: Evaluation) -> None:
    if it.name == "note":
        said.note = it.explanation or ""
    elif it.name == "label":
        said.label = it.label or ""
    elif it.label in SCORES:
        said.thumbs = str(it.label)


def _add_to(remark: Remark, it: Evaluation) -> None:
    """Add what a person says under one of `NAMES`."""
    remark.made = it.made
    if it.name == "note":
        remark.text = _beginning(it)
    elif it.name == "label":
        remark.value = one_line(it.label or "", 60)
    elif it.label in SCORES:
        remark.thumbs = str(it.label)
        remark.text = _beginning(it) or remark.text  # As `clew.feedback` carries a comment.


def _remark(it: Evaluation) -> Remark:
    score = [] if it.score is None else [f"{it.score:.3g}"]
    words = [*([] if it.label is None else [it.label]), *score]
    by = it.identifier or it.annotator_kind
    value = one_line(" · ".join(words), 60)
    return Remark(one_line(it.name, 40), value, _beginning(it), one_line(by, 40), made=it.made)


def _beginning(it: Evaluation) -> str:
    return one_line(it.explanation or "", _MAX_REMARK)


def _key_of(it: Evaluation) -> Key:
    return None if it.trace_id is None else (it.trace_id, it.root_id or b"")
