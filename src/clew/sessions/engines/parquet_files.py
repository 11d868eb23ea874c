"""Parquet files as spans: how DuckDB reads them, and how traces are deleted from them."""

import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from os import getpid
from pathlib import Path

import duckdb

from clew.sessions.engines import remote_files
from clew.sessions.engines.duckdb_connection import explained, run, text
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError, UnsupportedError
from clew.store.location import home_expanded
from clew.store.replacing import replace

FILE = "clew_file"
"""The column with the file of a row."""
_OF_TABLES = {"Delta": "_delta_log/*.json", "Iceberg": "metadata/*.metadata.json"}
"""Files by which a folder is a table, which says itself which files are a part of it."""
_DAY_FOLDER = r"[/\\]day=(\d{4}-\d\d-\d\d)[/\\][^/\\]*$"


class ParquetFiles:
    """One file, or all in a folder and those below; here, or where a URL says."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, place: str) -> None:
        """Raise an error if there are none."""
        self._connection, self._place = connection, place
        self._is_remote = "://" in place
        if self._is_remote:
            self._folder = place.rstrip("/")
            self._pattern = _remote_pattern(connection, self._folder)
        else:
            path = home_expanded(place.removeprefix("//"))
            self._pattern = _local_pattern(path)
            self._folder = str(path)

    @property
    def relation(self) -> str:
        """What a query reads, with the file of each row.

        Columns are not made of folders' names: those above are called whatever their owner likes.
        """
        return (
            f"read_parquet({text(self._pattern)}, union_by_name = true, "
            f"hive_partitioning = false, filename = {text(FILE)})"
        )

    def conditions(self, window: Window) -> list[str]:
        """Return conditions by which files in the folders of other days are not read."""
        below = f"substr({FILE}, {len(self._folder) + 1})"
        day = f"regexp_extract({below}, {text(_DAY_FOLDER)}, 1)"
        found = []
        for bound, sign in ((window.since_ns, ">="), (window.until_ns, "<=")):
            if bound is not None:
                date = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=bound // 1000)
                found.append(f"({day} = '' OR {day} {sign} '{date.date()}')")
        return found

    def delete(self, trace_ids: Sequence[str]) -> None:
        """Delete the spans of these traces: write the files anew in which there are any.

        A crash leaves each file as it was, or as it is to be.
        """
        if self._is_remote:
            message = f"clew does not change files in {self._place}: delete spans there yourself"
            raise UnsupportedError(message)
        query = (
            f"SELECT DISTINCT {FILE} FROM {self.relation} "
            "WHERE trace_id IN (SELECT unnest(?::VARCHAR[]))"
        )
        try:
            found = self._connection.execute(query, [list(trace_ids)]).fetchall()
            for (file,) in sorted(found):
                self._rewrite(Path(file).resolve(), trace_ids)
        except duckdb.Error as error:
            raise explained(self._place, error) from error

    def _rewrite(self, path: Path, trace_ids: Sequence[str]) -> None:
        for left in path.parent.glob(f".{_literal(path.name)}.*.partial"):
            left.unlink()  # By a process that was killed.
        partial = path.with_name(f".{path.name}.{getpid()}.partial")
        listed = ", ".join(map(text, trace_ids))
        kept = (
            f"FROM read_parquet({text(_literal(str(path)))}, hive_partitioning = false) "
            f"WHERE coalesce(trace_id NOT IN ({listed}), true)"
        )
        try:
            run(
                self._connection,
                self._place,
                f"COPY (SELECT * {kept}) TO {text(str(partial))} "
                "(FORMAT parquet, COMPRESSION zstd)",
            )
            ((rows,),) = self._connection.execute(f"SELECT count(*) {kept}").fetchall()
            if not rows:
                path.unlink()
                return
            shutil.copymode(path, partial)
            replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def _local_pattern(path: Path) -> str:
    if path.is_file():
        return _literal(str(path))
    if not path.exists():
        message = f"there is no folder {path}; write parquet:FOLDER or parquet:FILE.parquet"
        raise EngineError(message)
    if next(path.rglob("*.parquet"), None) is None:
        message = f"there is no Parquet file in {path}; clew export --to parquet makes some"
        raise EngineError(message)
    for name, pattern in _OF_TABLES.items():
        if next(path.glob(pattern), None) is not None:
            raise _is_table(str(path), name)
    return f"{_literal(str(path))}/**/*.parquet"


def _remote_pattern(connection: duckdb.DuckDBPyConnection, place: str) -> str:
    remote_files.prepare(connection, place)
    folder = _literal(place)
    if place.endswith(".parquet"):
        return folder
    pattern = f"{folder}/**/*.parquet"
    if not remote_files.is_there(connection, pattern, place):
        message = f"there is no Parquet file in {place}; clew export --to parquet makes some"
        raise EngineError(message)
    for name, inside in _OF_TABLES.items():
        if remote_files.is_there(connection, f"{folder}/{inside}", place):
            raise _is_table(place, name)
    return pattern


def _is_table(place: str, name: str) -> EngineError:
    return EngineError(
        f"{place} is a table of {name}, some of whose Parquet files may be of rows that were "
        f"deleted from it: ask a server of Spark Connect, sc://HOST/?path=...&format={name.lower()}"
    )


def _literal(path: str) -> str:
    """Return a pattern that only this path matches."""
    return re.sub(r"([*?\[])", r"[\1]", path)
