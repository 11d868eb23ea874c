"""Session: a conversation with its figures; its turns are read when they are asked for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clew.sessions.model import BadTurn, Tokens, Turn


class StoredTurns(Sequence[Turn]):
    """The turns of a session in their order, each read from the store when it is reached."""

    def __init__(self, number: int, read: Callable[[int, int], Iterator[Turn]]) -> None:
        """Know the *number* of turns; *read* yields so many of them after skipping some."""
        self._number = number
        self._read = read

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[Turn]:
        return self._read(0, self._number)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            wanted = range(*index.indices(self._number))
            if not wanted:
                return ()
            low, high = sorted((wanted[0], wanted[-1]))
            return tuple(self._read(low, high - low + 1))[:: wanted.step]
        position = index + self._number if index < 0 else index
        if not 0 <= position < self._number:
            message = f"there are {self._number} turns, and none has the number {index}"
            raise IndexError(message)
        return next(self._read(position, 1))

    def __repr__(self) -> str:
        return f"<{self._number} turns>"


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation: the turns with the same ``session.id``."""

    id: str
    user_id: str
    """The user of its last turn that has one; empty if none has."""
    users: int
    """How many different users it has."""
    first: datetime
    """When its first turn began."""
    last: datetime
    """When its last turn ended."""
    seconds: float
    """From the beginning of the first turn to the end of the last."""
    think_seconds: float
    """How long nothing was done between its turns, while the user was reading or typing."""
    spans: int
    model_calls: int
    tool_calls: int
    retrievals: int
    tokens: Tokens
    cost: float | None
    """In US dollars; None if it is not known of any call."""
    errors: int
    """How many spans failed."""
    failed_turns: int
    """In how many turns something failed."""
    latency_p50: float
    """Seconds that half of its turns did not exceed (nearest rank)."""
    latency_p95: float
    first_token_p50: float | None
    first_message: str
    """The beginning of the first thing that was said."""
    last_message: str
    """The beginning of the last thing that was said."""
    models: tuple[str, ...]
    frameworks: tuple[str, ...]
    tools: tuple[str, ...]
    turns: Sequence[Turn] = field(repr=False)
    """Those in which something was said, or failed."""
    friction: float | None = None
    """How likely the user is annoyed in the worst turn, from 0 to 1; None if not scored yet."""
    failure: float | None = None
    """How likely something failed in the worst turn, from 0 to 1; None if not scored yet."""
    first_bad_turn: BadTurn | None = None
    """The first turn with friction or failure, where it broke; None if no turn is bad."""
    worst_turn: BadTurn | None = None
    """The turn with the most friction or failure; None if no turn is bad."""
    outcome: str = "unknown"
    """What an evaluation named ``outcome`` says: whether the user got what they wanted."""
