"""Prints a table: columns side by side, as many as there is room for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from clew.cli import _terminal
from clew.cli._figures import NOTHING

_GAP = "  "
_HARMLESS = {"0", "", NOTHING}
_WIDEST = 100
"""Columns up to which a cell has others filled up to its width, where no width is given."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    right: bool = False
    """Whether its cells end, not begin, below each other: numbers do."""
    needed: int = 0
    """The columns with the lowest number are left out first where there is no room. 0: never."""
    shortest: int = 0
    """Its cells may be cut to so many columns; 0: they may not."""
    alarming: bool = False
    """Whether its cells are red, except where they are 0 or not known."""


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None
) -> Iterator[str]:
    """Yield the lines of a table that is no wider than *width*; None: as wide as it needs."""
    cells = [[_terminal.line(cell) for cell in row] for row in rows]
    widths = [
        max([len(column.title), *(_terminal.columns_of(row[index]) for row in cells)])
        for index, column in enumerate(columns)
    ]
    shown = list(range(len(columns)))
    if width is not None:
        shown, widths = _fitting(columns, widths, width)
    filled = widths if width is not None else [min(it, _WIDEST) for it in widths]
    titles = [column.title for column in columns]
    yield click.style(_row(columns, shown, filled, titles, heading=True), dim=True)
    for row in cells:
        cut = row if width is None else list(map(_terminal.fit, row, widths))
        yield _row(columns, shown, filled, cut)


def _fitting(
    columns: Sequence[Column], widths: Sequence[int], width: int
) -> tuple[list[int], list[int]]:
    """Return which columns there is room for, and how wide each is."""
    shown = list(range(len(columns)))
    fitted = list(widths)

    def excess() -> int:
        return sum(fitted[i] for i in shown) + len(_GAP) * (len(shown) - 1) - width

    def shorten() -> None:
        for index in reversed(shown):
            if (least := columns[index].shortest) and excess() > 0:
                fitted[index] = max(min(least, fitted[index]), fitted[index] - excess())

    shorten()
    while excess() > 0:
        dropped = min(
            (i for i in shown if columns[i].needed), key=lambda i: columns[i].needed, default=None
        )
        if dropped is None:
            break
        shown.remove(dropped)
        fitted = list(widths)
        shorten()
    return shown, fitted


def _row(
    columns: Sequence[Column],
    shown: Sequence[int],
    widths: Sequence[int],
    row: Sequence[str],
    *,
    heading: bool = False,
) -> str:
    cells = []
    for index in shown:
        column, width = columns[index], widths[index]
        cell = _terminal.pad(row[index], width, right=column.right)
        if column.alarming and not heading and row[index] not in _HARMLESS:
            cell = click.style(cell, fg="red")
        cells.append(cell)
    return _GAP.join(cells).rstrip()
