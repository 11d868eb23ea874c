"""MetricError: an expression or a configuration that cannot be used, and where that is."""

from collections.abc import Iterable
from difflib import get_close_matches

from clew.core.errors import ClewError


class MetricError(ClewError, ValueError):
    """A metric, a group, or a threshold that cannot be used: the message says where and why."""


def pointing(text: str, start: int, end: int, problem: str) -> MetricError:
    """Return an error with the line of *text* in which a place is, and a mark below that place."""
    start = min(max(start, 0), len(text))
    begins = text.rfind("\n", 0, start) + 1
    line = text[begins:].split("\n", 1)[0]
    marks = "^" * max(1, min(end, begins + len(line)) - start)
    shown = "".join(it if it.isprintable() else " " for it in line)
    return MetricError(f"{problem}\n    {shown}\n    {' ' * (start - begins)}{marks}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question after a name that is like *name*; empty if none is."""
    near = get_close_matches(name.lower(), list(known), n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else ""
