"""Row: one row of a file that is imported; and the error for a file that cannot be read."""

from dataclasses import dataclass

from clew.core.errors import ClewError


class FormatError(ClewError, ValueError):
    """A file that cannot be read as any known format."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file, or what is wrong with it."""

    line: int
    value: object = None
    error: str = ""
