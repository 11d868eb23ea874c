"""Table: the result of a question, as rows, or for the library that the caller works with."""

import json
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from clew.core.errors import ClewError


class MissingLibraryError(ClewError, ImportError):
    """The library that a table was to be converted for is not installed."""


class Table(Sequence[dict[str, Any]]):
    """Rows, each a dictionary; all have the same columns."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.columns = tuple(columns)
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Table(self.columns, self._rows[index])
        return dict(zip(self.columns, self._rows[index], strict=True))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._rows:
            yield dict(zip(self.columns, row, strict=True))

    def __repr__(self) -> str:
        return f"<Table of {len(self)} rows: {', '.join(self.columns)}>"

    def to_columns(self) -> dict[str, list[Any]]:
        """Return the values of each column."""
        columns = list(map(list, zip(*self._rows, strict=True))) or [[] for _ in self.columns]
        return dict(zip(self.columns, columns, strict=True))

    def to_json(self) -> str:
        """Return the rows as a JSON list of objects."""
        return json.dumps(list(self), ensure_ascii=False, default=str)

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame``; pandas must be installed."""
        return _library("pandas").DataFrame(self.to_columns(), columns=list(self.columns))

    def to_polars(self) -> Any:
        """Return a ``polars.DataFrame``; polars must be installed."""
        return _library("polars").DataFrame(self._uniform_columns(), infer_schema_length=None)

    def to_arrow(self) -> Any:
        """Return a ``pyarrow.Table``; pyarrow must be installed."""
        table: Callable[..., Any] = _library("pyarrow").table
        return table(self._uniform_columns())

    def _uniform_columns(self) -> dict[str, list[Any]]:
        """Return the columns, each with values of one type: SQLite's may have several."""
        return {name: _uniform(values) for name, values in self.to_columns().items()}


def _uniform(values: list[Any]) -> list[Any]:
    types = set(map(type, values)) - {type(None)}
    if len(types) <= 1:
        return values
    convert = float if types == {int, float} else str
    return [None if value is None else convert(value) for value in values]


def missing(library: str) -> str:
    """Return what to say where *library* is not installed."""
    return f"{library} is not installed; python -m pip install {library}"


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingLibraryError(missing(name)) from error
