"""What is counted, and the line that says it."""

import threading
from collections import Counter
from typing import Any

FAULTS = (
    "wrong",
    "missing",
    "leaked",
    "unended",
    "untraced",
    "lost",
    "crashed",
    "grown",
    "failed",
    "errors",
)
"""Each of them must be 0."""


class Counts:
    """Numbers by name, with some examples of each fault."""

    MOST_EXAMPLES = 5

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin at nothing, in a child process as well, where the lock may be held by no thread."""
        self._lock = threading.RLock()  # The garbage collector may end a span in `add`.
        self.numbers: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def add(self, name: str, example: str = "", number: int = 1) -> None:
        """Count something; keep the *example* if there are few."""
        with self._lock:
            self.numbers[name] += number
            examples = self.examples.setdefault(name, [])
            if example and len(examples) < self.MOST_EXAMPLES:
                examples.append(example)

    def merge(self, other: dict[str, Any], whose: str) -> None:
        """Add what another process has counted."""
        for name, number in other["numbers"].items():
            self.add(name, number=number)
        for name, examples in other["examples"].items():
            for example in examples:
                self.add(name, f"{whose}: {example}", number=0)

    def as_dict(self) -> dict[str, Any]:
        """Return them for JSON."""
        return {"numbers": dict(self.numbers), "examples": self.examples}

    @property
    def faults(self) -> dict[str, int]:
        """The faults, each with its number."""
        return {name: self.numbers[name] for name in FAULTS}

    def line(self) -> str:
        """Return the result in one line."""
        counted = [f"{self.numbers[name]:,} {name}" for name in ("calls", "spans", "written")]
        faults = [f"{number:,} {name}" for name, number in self.faults.items()]
        return f"{', '.join(counted)}: {', '.join(faults)}"

    def details(self) -> list[str]:
        """Return the other numbers in a line, and the examples of faults, each in one."""
        others = {
            name: number
            for name, number in sorted(self.numbers.items())
            if name not in {"calls", "spans", "written", *FAULTS}
        }
        lines = [", ".join(f"{number:,} {name}" for name, number in others.items())]
        for name in (*FAULTS, "slow"):
            lines += [f"{name}: {example}" for example in self.examples.get(name, ())]
        return lines
