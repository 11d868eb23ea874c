"""Counts the turns whose two texts were compared, for the summary at the end."""

from dataclasses import dataclass, field


@dataclass
class Words:
    """How many turns were compared, and where they were wrong."""

    turns: int = 0
    wrong: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, turns: int, wrong: int) -> None:
        """Add the turns of one call or recording."""
        self.turns += turns
        if wrong:
            self.wrong[name] = wrong

    def summary(self) -> list[str]:
        """Return the lines that say how it stands."""
        total = sum(self.wrong.values())
        return [f"{self.turns} turns compared, {total} wrong", *sorted(self.wrong)]


WORDS = Words()
