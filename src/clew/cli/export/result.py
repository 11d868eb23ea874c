"""What is exported, and what became of it."""

import sqlite3
from array import array
from dataclasses import dataclass, field


@dataclass
class Result:
    """What became of the spans."""

    to: str
    exported: int = 0
    already: int = 0
    """Those that the target had been given before."""
    rejected: int = 0
    """Those that the target would not store. They are not sent again."""
    refused: int = 0
    """Those in batches that the target refused. The next export sends them again."""
    reasons: list[str] = field(default_factory=list)
    """What the target said of those."""
    error: str = ""
    """What ended the export too early."""

    @property
    def complete(self) -> bool:
        """Whether the target has taken every span."""
        return not (self.rejected or self.refused or self.error)


@dataclass(frozen=True)
class Source:
    """The spans to export, by their ids in the store."""

    connection: sqlite3.Connection
    ids: "array[int]"
