"""What is exported, and what became of it."""

import sqlite3
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


@dataclass
class Result:
    """What became of the spans."""

    to: str
    exported: int = 0
    """Spans, those that carry evaluations included."""
    already: int = 0
    """Those that the target had been given before."""
    rejected: int = 0
    """Those that the target would not store. They are not sent again."""
    refused: int = 0
    """Those in batches that the target refused. The next export sends them again."""
    reasons: list[str] = field(default_factory=list)
    """What the target said of those."""
    annotated: int | None = None
    """Evaluations that Phoenix has taken as annotations."""
    note: str = ""
    """What else there is to know."""
    error: str = ""
    """What ended the export too early."""

    @property
    def complete(self) -> bool:
        """Whether the target has taken every span."""
        return not (self.rejected or self.refused or self.error)


class Folder(NamedTuple):
    """A folder of files as the target of an export."""

    path: Path


@dataclass(frozen=True)
class Source:
    """The spans and evaluations to export, by their ids in the store."""

    connection: sqlite3.Connection
    spans: "array[int]"
    evaluations: "array[int]"
    """Those that no stored span carries; each becomes a span (``evaluations/stored.py``)."""
    without_carriers: bool = False
    """Whether spans that were made to carry evaluations are left out."""

    @property
    def ids(self) -> "array[int]":
        """The ids of all, ascending."""
        return self.spans + self.evaluations
