"""What is done, drawn from a seed: the same seed gives each process the same actions again."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

ACTIONS_IN_A_SESSION = 5
INSIDE, ANOTHER, OUTSIDE = 0, 1, 9
"""The parts of an action: inside its block, in the block of another session, outside of any."""

FAULTS = {
    "fine": 55,
    "slow": 12,  # answered after a while
    "stalls": 5,  # a stream that pauses
    "busy": 5,  # refused once, and answered the next time
    "refused": 5,  # an error of the server
    "wrong": 3,  # an error of the client
    "dropped": 6,  # the connection is closed without an answer
    "cut": 9,  # a stream that breaks off
}
"""What the provider does, by how often. It is said in the question, so that it is repeated too."""


class Key(NamedTuple):
    """Names a part of an action. The ids that its spans must have follow from it alone."""

    process: int
    lane: int
    number: int
    part: int = INSIDE

    def __str__(self) -> str:
        return "-".join(map(str, self))

    @property
    def ids(self) -> tuple[str | None, str | None]:
        """The session and the user that its spans must have."""
        if self.part == OUTSIDE:
            return None, None
        turn = self.number // ACTIONS_IN_A_SESSION
        name = f"soak-{self.process}-{self.lane}-{turn}"
        user = f"user-{self.process}-{self.lane}"
        if self.part == ANOTHER:
            return f"{name}-another", f"{user}-another"
        return name + "-may-go" * (turn % 5 == 0), user


@dataclass(frozen=True)
class Action:
    """One call of a framework, in one way, with what goes wrong meanwhile."""

    key: Key
    framework: str
    name: str
    way: str
    fault: str
    after: float
    """When a task is cancelled, in seconds; how many items of a stream are read, as a share."""

    def question(self, part: int = INSIDE) -> str:
        """Return the text that a model is asked; its spans are known by it."""
        return question(self.key._replace(part=part), self.fault)


def question(key: Key, fault: str = "fine") -> str:
    """Return a question of this key."""
    return f"Of question {key}, {fault}, what?"


def drawn(
    seed: int, process: int, lane: int, calls: dict[str, list[str]], ways: dict[str, list[str]]
) -> Iterator[Action]:
    """Yield the actions of one lane of a process, without an end.

    *calls* are the names of the calls of each framework, which begin with their kind, and *ways*
    those in which each kind of call can be made.
    """
    # The generator must be the same in every process, unlike hash().
    rng = random.Random(f"{seed}/{process}/{lane}")
    number = 0
    while True:
        framework = rng.choice(sorted(calls))
        name = rng.choice(calls[framework])
        way = rng.choice(ways[name.partition(" ")[0]])
        (fault,) = rng.choices(list(FAULTS), list(FAULTS.values()))
        key = Key(process, lane, number)
        yield Action(key, framework, name, way, fault, rng.random() ** 2 * 0.3)
        number += 1
