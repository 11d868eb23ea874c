"""Parquet files as spans: how DuckDB reads them, and how traces are deleted from them."""

import re
import shutil
from collections.abc import Sequence
from os import getpid
from pathlib import Path

import duckdb

from clew.sessions.engines.duckdb_connection import explained, run, text
from clew.sessions.engines.errors import EngineError, UnsupportedError
from clew.store.location import home_expanded
from clew.store.replacing import replace


class ParquetFiles:
    """One file, or all in a folder and those below; here, or where a URL says."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, place: str) -> None:
        """Raise an error if there are none."""
        self._connection, self._place = connection, place
        self._is_remote = "://" in place
        if self._is_remote:
            _load_extensions(connection, place)
            is_file = place.endswith(".parquet")
            self._pattern = place if is_file else f"{place.rstrip('/')}/**/*.parquet"
        else:
            self._pattern = _local_pattern(home_expanded(place.removeprefix("//")))

    @property
    def relation(self) -> str:
        """What a query reads, with the day from the path where all files are in such folders."""
        return f"read_parquet({self._arguments})"

    @property
    def _arguments(self) -> str:
        return f"{text(self._pattern)}, union_by_name = true, hive_types_autocast = false"

    def delete(self, trace_ids: Sequence[str]) -> None:
        """Delete the spans of these traces: write the files anew in which there are any.

        A crash leaves each file as it was, or as it is to be.
        """
        if self._is_remote:
            message = f"clew does not change files in {self._place}: delete spans there yourself"
            raise UnsupportedError(message)
        query = (
            f"SELECT DISTINCT filename FROM read_parquet({self._arguments}, filename = true) "
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
    return f"{_literal(str(path))}/**/*.parquet"


def _literal(path: str) -> str:
    """Return a pattern that only this path matches."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _load_extensions(connection: duckdb.DuckDBPyConnection, place: str) -> None:
    try:
        run(connection, place, "LOAD httpfs")
        run(connection, place, "LOAD aws")
        run(connection, place, "CREATE SECRET clew (TYPE s3, PROVIDER credential_chain)")
    except EngineError as error:
        message = (
            f"{place.partition('://')[0]}:// needs DuckDB's extensions httpfs and aws; install "
            "them with: python -c \"import duckdb; duckdb.sql('INSTALL httpfs; INSTALL aws')\""
        )
        raise EngineError(message) from error
