"""Chooses what a judge reads of a session that is too long to be read whole, and says what it is.

All turns are shown if they fit. If they do not, long texts are shortened in their middle. If that
is not enough, the turns are shown that the session's signals point to, with those around them, and
its beginning and end. Of a turn that is judged alone, as much is shown of the conversation before
it as fits, and nothing of what comes after it. What is left out is named where it is missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clew.core.errors import EvaluationError
from clew.core.wording import number_of
from clew.evaluations.judging.transcripts import (
    Limits,
    Text,
    instructions_of,
    instructions_text,
    turn_text,
)
from clew.sessions.model import Turn
from clew.sessions.session import Session

LEAST_TOKENS = 500
"""With fewer there is nothing to judge."""
_TEXTS = 10
"""A text that takes more than this part of the tokens is shortened, if not all fits."""
_TURNS = 3
"""And so are those of a turn that takes more than this part."""
_MOST_PARTS = 40
"""How many texts of one turn are shown, if not all fits."""
_TOKENS_OF_PART = 100
_GAP_TOKENS = 12
"""For the line that says which turns are left out."""
_NEAR = 2
"""How many turns before and after a suspicious one are shown before other suspicious ones are."""
_SUSPICIOUS = 0.5


@dataclass(frozen=True)
class Window:
    """What is shown of a session, or of one turn of it, to whoever judges it."""

    lines: str
    """Quoted text; a line that is not quoted is clew's own."""
    turns: tuple[int, ...]
    """The numbers of the turns that are shown, from 1."""
    total: int
    """How many turns the session has; or how many there are up to the turn that is judged."""
    left_out: int
    """How many characters were left out of the texts that are shown."""
    shortened: int
    """How many texts were shortened."""
    omitted: int
    """How many calls and results in the turns that are shown are not."""
    of_turn: bool = False
    """Whether only the last of the turns is judged, and those before it say what it is about."""

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return len(self.turns) == self.total and not self.shortened and not self.omitted

    @property
    def coverage(self) -> str:
        """What is shown, such as ``turns 1-3, 40-52 of 100``."""
        if self.of_turn:
            shown = f"turn {self.total}{self._before}"
        elif len(self.turns) == self.total:
            shown = f"all {self.total} turns" if self.total > 1 else "its only turn"
        else:
            noun = "turns" if len(self.turns) > 1 else "turn"
            shown = f"{noun} {', '.join(map(_range, _runs(self.turns)))} of {self.total}"
        if self.shortened:
            texts = number_of(self.shortened, "long text")
            shown += f", without {number_of(self.left_out, 'character')} of {texts}"
        if self.omitted:
            shown += f", without {number_of(self.omitted, 'step')}"
        return shown

    @property
    def _before(self) -> str:
        """What is shown before the turn that is judged, as a part of a sentence."""
        earlier, shown = self.total - 1, self.turns[:-1]
        if not earlier:
            return ", which is the first"
        if not shown:
            return f", and none of the {number_of(earlier, 'turn')} before it"
        if len(shown) < earlier:
            return f", and of the {earlier} turns before it {', '.join(map(_range, _runs(shown)))}"
        return f", and all {earlier} turns before it" if earlier > 1 else ", and the one before it"


def window(session: Session, max_tokens: int) -> Window:
    """Return what can be shown of *session* with about *max_tokens* tokens."""
    turns = list(session.turns)
    for limits in (None, _limits(max_tokens)):
        shown = _Shown(turns, limits)
        if shown.all_tokens <= max_tokens:
            return _window(shown.before, dict(enumerate(shown.turns)), len(turns))
    chosen = _chosen(session, turns, shown, max_tokens)
    return _window(shown.before, {it: shown.turns[it] for it in chosen}, len(turns))


def window_of_turn(session: Session, turn: Turn, max_tokens: int) -> Window:
    """Return what can be shown of *turn* and the conversation before it with about *max_tokens*.

    What comes after it is not shown, so that what is said of a turn stays true when it goes on.
    """
    turns = _until(session, turn)
    told = instructions_of(turn)
    for limits in (None, _limits(max_tokens)):
        before = [instructions_text(told, limits)] if told else []
        left = max_tokens - sum(it.tokens + 1 for it in before)
        shown = _nearest(turns, limits, left)
        if len(shown) == len(turns) and sum(it.tokens + 1 for it in shown.values()) <= left:
            break
    return _window(before, shown, len(turns), of_turn=True)


def _until(session: Session, turn: Turn) -> list[Turn]:
    turns: list[Turn] = []
    for it in session.turns:
        turns.append(it)
        if (it.trace_id, it.root_id) == (turn.trace_id, turn.root_id):
            return turns
    message = f"the turn {turn.root_id.hex()} to be judged is no turn of session {session.id!r:.80}"
    raise EvaluationError(message)


def _nearest(turns: Sequence[Turn], limits: Limits | None, tokens: int) -> dict[int, Text]:
    """Return the last turn, the one before it, the first one, and those between from the end."""
    last = len(turns) - 1
    found: dict[int, Text] = {}
    # Only what fits is looked at, or else each turn of a long session would read all before it.
    for position in dict.fromkeys([last, max(0, last - 1), 0, *range(last - 2, 0, -1)]):
        text = turn_text(turns[position], position + 1, limits)
        left = tokens - text.tokens - 1
        # One line may say what is left out at the beginning, and one what is after the first turn.
        if not found or left >= (0 if len(found) == last else 2 * _GAP_TOKENS):
            found[position] = text
            tokens = left
        elif 0 < position < last - 1:
            break
    return found


def _limits(max_tokens: int) -> Limits:
    parts = min(_MOST_PARTS, max_tokens // _TOKENS_OF_PART)
    return Limits(max_tokens // _TEXTS, max_tokens // _TURNS, parts)


class _Shown:
    """The texts of the turns and, before the first one, the assistant's instructions."""

    def __init__(self, turns: Sequence[Turn], limits: Limits | None) -> None:
        told = [it for it in map(instructions_of, turns) if it]
        self.before: list[Text] = []
        if told:
            self.before.append(instructions_text(told[0], limits))
            if others := sum(it != told[0] for it in told):
                changed = number_of(others, "turn")
                self.before.append(Text(f"[{changed} had other instructions, which are left out]"))
        self.turns = [turn_text(it, number, limits) for number, it in enumerate(turns, 1)]
        self.tokens = [it.tokens + 1 for it in self.turns]
        self.tokens_before = sum(it.tokens + 1 for it in self.before)
        self.all_tokens = sum(self.tokens) + self.tokens_before


def _chosen(session: Session, turns: Sequence[Turn], shown: _Shown, max_tokens: int) -> set[int]:
    """Return the positions of the turns to show: those that count most, as far as they fit."""
    left = max_tokens - shown.tokens_before
    chosen: set[int] = set()
    for position in _by_weight(session, turns):
        # It may be beside one that is shown, and part what was left out, or not.
        needed = shown.tokens[position] + _GAP_TOKENS
        if not chosen or needed <= left:
            chosen.add(position)
            left -= needed
    return chosen


def _by_weight(session: Session, turns: Sequence[Turn]) -> Iterator[int]:
    """Yield the positions of all turns, those that a judge has to see first; each once."""
    last = len(turns) - 1
    named = (session.first_bad_turn, session.worst_turn)
    worst = [it.turn - 1 for it in named if it is not None]
    scores = [max(it.friction or 0.0, it.failure or 0.0) for it in turns]
    suspicious = sorted(
        (position for position, score in enumerate(scores) if score >= _SUSPICIOUS),
        key=lambda position: -scores[position],
    )
    points = [*worst, 0, last, *suspicious]
    order = [*worst, 0, last]
    order += [it for point in worst for it in _around(point, _NEAR)]
    order += [it for point in (0, last, *suspicious) for it in _around(point, 1)]
    order += suspicious
    order += [it for distance in range(2, last + 1) for it in _at(points[:4], distance)]
    seen: set[int] = set()
    for position in order:
        if 0 <= position <= last and position not in seen:
            seen.add(position)
            yield position


def _around(point: int, distance: int) -> Iterator[int]:
    for step in range(1, distance + 1):
        yield from (point - step, point + step)


def _at(points: Sequence[int], distance: int) -> Iterator[int]:
    for point in points:
        yield from (point - distance, point + distance)


def _window(
    before: Sequence[Text], shown: Mapping[int, Text], total: int, *, of_turn: bool = False
) -> Window:
    lines = [it.lines for it in before]
    positions = sorted(shown)
    expected = 0
    for position in positions:
        lines += _gap(expected, position)
        lines.append(shown[position].lines)
        expected = position + 1
    lines += _gap(expected, total)
    read = [*before, *shown.values()]
    return Window(
        lines="\n".join(lines),
        turns=tuple(it + 1 for it in positions),
        total=total,
        left_out=sum(it.left_out for it in read),
        shortened=sum(it.shortened for it in read),
        omitted=sum(it.omitted for it in read),
        of_turn=of_turn,
    )


def _gap(expected: int, position: int) -> list[str]:
    if position == expected:
        return []
    if position == expected + 1:
        return [f"[turn {position} is left out]"]
    return [f"[turns {expected + 1}-{position} are left out]"]


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    begin = before = numbers[0]
    for number in numbers[1:]:
        if number != before + 1:
            yield begin, before
            begin = number
        before = number
    yield begin, before


def _range(run: tuple[int, int]) -> str:
    return str(run[0]) if run[0] == run[1] else f"{run[0]}-{run[1]}"
