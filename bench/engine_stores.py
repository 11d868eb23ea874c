"""Makes large stores on engines: 1,000 sessions go the way of a user's, and the engine copies them.

The spans of the first sessions are exported by clew, into Parquet files and into ClickHouse, and
clew makes its tables from them. To summarise millions of spans takes hours; so the engine copies
all rows, under other ids and at later times, as `large_store.py` does in SQLite. `check` asks clew
what has changed, which must be nothing, and makes some of the copies anew from their spans.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from time import time_ns
from typing import NamedTuple

from bench import large_store
from bench.store_reading import kept_store
from clew.sessions.engines.asking import rows, translation
from clew.sessions.engines.changes import CHECKSUM, DAY, changed_days
from clew.sessions.engines.engine import Engine, Window
from clew.sessions.engines.location import Place, connect, file_for
from clew.sessions.engines.parts import session_part
from clew.sessions.engines.schema import TABLES
from clew.sessions.engines.summary import RULES, summarise
from clew.sessions.engines.updating import spans_of_traces

BASE = large_store.BASE
_COPIES_AT_ONCE = 10
_SHIFTED = frozenset({"start_ns", "end_ns", "first_ns", "last_ns"})
_TRACE = "concat(substring({0}, 1, 24), right(concat('0000000', {1}), 8))"


class Dialect(NamedTuple):
    """How the engine writes what is not the same everywhere."""

    copies: str
    """The numbers of copies, as a table with the column ``copy``."""
    text: str
    """The number of a copy as text."""


_DUCKDB = Dialect("range({}, {}) AS copies(copy)", "CAST(copy AS VARCHAR)")
_CLICKHOUSE = Dialect(
    "(SELECT number AS copy FROM numbers({}, {} - {})) AS copies", "toString(copy)"
)


class Engines(NamedTuple):
    """The stores of one size."""

    parquet: str
    clickhouse: str
    folder: Path
    """Where clew keeps its tables beside Parquet files and Spark."""

    def spark(self, server: str) -> str:
        """Return the URL of the Parquet files for Spark, with clew's tables for it in place."""
        url = f"{server}/?path={self.parquet.partition(':')[2]}"
        there = file_for(url, self.folder, "duckdb")
        if not there.exists():  # They are the same as those beside Parquet.
            shutil.copy(file_for(self.parquet, self.folder, "duckdb"), there)
        return url


def stores(folder: Path, sessions: int) -> Engines:
    """Return the stores of so many *sessions* in *folder*; what is missing is made."""
    place = folder / f"engines-{sessions}"
    found = Engines(f"parquet:{place / 'lake'}", f"chdb:{place / 'clickhouse'}", place / "engines")
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        _make(folder, place, found, sessions)
        for url in (found.parquet, found.clickhouse):
            check(url, found.folder)
        (place / "complete").touch()
    return found


def check(url: str, folder: Path, number: int = 5) -> None:
    """Raise an error if clew finds that anything has changed, or would summarise it otherwise."""
    with _opened(url, folder) as (source, tables):
        if days := changed_days(source, tables, Window()):
            message = f"{url}: there are changes on days {days}"
            raise AssertionError(message)
        names = ", ".join(it.name for it in TABLES["clew_session"] if it.name not in _OF_PART)
        everybody = rows(tables, "SELECT session_id FROM session ORDER BY session_id")
        for (session,) in Random(1).sample(everybody, number):
            query = "SELECT DISTINCT trace_id FROM turn WHERE session_id = ?"
            traces = [trace for (trace,) in rows(tables, query, (session,))]
            part = session_part(session)
            made = summarise([part], list(spans_of_traces(source, traces)))[part]["clew_session"]
            stored = rows(tables, f"SELECT {names} FROM session WHERE session_id = ?", (session,))
            if [tuple(row[name] for name in names.split(", ")) for row in made] != list(stored):
                message = f"{url}: the summary of {session!r} is not that of its spans"
                raise AssertionError(message)


_OF_PART = frozenset({"part", "batch", "first_bad", "worst"})
"""The last two contain the id of a span, which the copies have not made anew."""


def _make(folder: Path, place: Path, found: Engines, sessions: int) -> None:
    base = kept_store(folder, BASE)
    lake = Path(found.parquet.partition(":")[2])
    exported = place / "base" if sessions > BASE else lake
    environment = {"CLEW_STORE": str(place / "sessions.db")}
    state = ("--state", str(place / "state"))
    run_clew(environment, "export", "--store", str(base), "--to", "parquet", f"{exported}/")
    run_clew(
        environment, "export", "--store", str(base), "--to", "clickhouse", found.clickhouse, *state
    )
    run_clew(environment, "engines", "init", "--store", found.clickhouse)
    original = f"parquet:{exported}"
    for url in (original, found.clickhouse):
        run_clew(environment, "engines", "update", "--store", url)
    if sessions == BASE:
        return
    copies = sessions // BASE
    with _opened(original, found.folder) as (source, _):
        ((first, last),) = rows(source, "SELECT min(start_ns), max(start_ns) FROM spans")
    _copy_files(exported, lake, copies, period := last - first + 10**9)
    shutil.rmtree(exported)
    # The tables of the originals become those of the copies as well.
    file_for(original, found.folder, "duckdb").rename(
        file_for(found.parquet, found.folder, "duckdb")
    )
    with _opened(found.clickhouse, found.folder) as (source, _):
        _copy_spans(source, copies, period, last)
    for url, dialect in ((found.parquet, _DUCKDB), (found.clickhouse, _CLICKHOUSE)):
        with _opened(url, found.folder) as (source, tables):
            _copy_tables(source, tables, dialect, copies, period)


def run_clew(environment: dict[str, str], *arguments: str) -> None:
    """Run a command, which has to succeed."""
    subprocess.run(
        [sys.executable, "-m", "clew", *arguments],
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )


@contextmanager
def _opened(url: str, folder: Path) -> Iterator[Place]:
    place = connect(url, folder)
    with closing(place.source), closing(place.tables):
        yield place


def _copy_files(base: Path, lake: Path, copies: int, period: int) -> None:
    """Write the Parquet files in *base* and their copies, in folders of days, sorted by session."""
    import duckdb

    with duckdb.connect() as connection:
        files = f"read_parquet('{base}/**/*.parquet', hive_types_autocast = false)"
        text = _DUCKDB.text
        later = f"make_timestamp_ns(epoch_ns({{}}) + copy * {period})"
        start = later.format('"start"')
        replaced = {
            "session_id": f"if(copy = 0, session_id, concat(session_id, '/', {text}))",
            "trace_id": f"if(copy = 0, trace_id, {_TRACE.format('trace_id', text)})",
            "start": start,
            "end": later.format('"end"'),
            "day": f"strftime({start}, '%Y-%m-%d')",
            "attributes": 'if(copy = 0, attributes, replace(attributes, concat(\'"session.id":'
            f"\"', session_id, '\"'), concat('\"session.id\":\"', session_id, '/', {text}, '\"')))",
        }
        chosen = ", ".join(f'{sql} AS "{name}"' for name, sql in replaced.items())
        for first in range(0, copies, _COPIES_AT_ONCE):
            numbers = _DUCKDB.copies.format(first, min(first + _COPIES_AT_ONCE, copies))
            connection.execute(
                f"COPY (SELECT * REPLACE ({chosen}) FROM {files}, {numbers} "
                f'ORDER BY "day", session_id, "start") TO \'{lake}\' (FORMAT parquet, '
                "COMPRESSION zstd, PARTITION_BY (day), APPEND, FILENAME_PATTERN '{uuid}')"
            )


def _copy_spans(source: Engine, copies: int, period: int, last: int) -> None:
    """Copy the spans, of which the last began at *last*, in the Collector's table."""
    text = _CLICKHOUSE.text
    session = "SpanAttributes['session.id']"
    replaced = {
        "TraceId": _TRACE.format("TraceId", text),
        "Timestamp": f"Timestamp + toIntervalNanosecond(copy * {period})",
        "SpanAttributes": f"if({session} = '', SpanAttributes, mapUpdate(SpanAttributes, "
        f"map('session.id', concat({session}, '/', {text}))))",
        "Events.Timestamp": "arrayMap(it -> it + toIntervalNanosecond(copy * "
        f"{period}), Events.Timestamp)",
    }
    described = [name for name, *_ in source.query("DESCRIBE TABLE otel_traces").rows]
    chosen = ", ".join(f"{replaced.get(name, f'`{name}`')} AS `{name}_`" for name in described)
    names = ", ".join(f"`{name}`" for name in described)
    for first in range(1, copies, _COPIES_AT_ONCE):
        until = min(first + _COPIES_AT_ONCE, copies)
        numbers = _CLICKHOUSE.copies.format(first, until, first)
        source.execute(
            f"INSERT INTO otel_traces ({names}) SELECT {chosen} FROM otel_traces, {numbers} "
            f"WHERE Timestamp <= fromUnixTimestamp64Nano({last})"
        )
    source.execute("OPTIMIZE TABLE otel_traces")


def _copy_tables(
    source: Engine, tables: Engine, dialect: Dialect, copies: int, period: int
) -> None:
    """Add what clew would find in the copies to its tables."""
    numbers = dialect.copies.format(1, copies, 1)
    for table, columns in TABLES.items():
        if table == "clew_trace":
            continue
        chosen = ", ".join(_copied(it.name, dialect.text, period) for it in columns)
        names = ", ".join(it.name for it in columns)
        tables.execute(f"INSERT INTO {table} ({names}) SELECT {chosen} FROM {table}, {numbers}")
    # How many spans of a trace began on a day is another number where it is another time of day.
    query = (
        f"SELECT start_ns / {DAY} AS day, trace_id, count(*) AS spans, {CHECKSUM} AS checksum, "
        f"{RULES} AS rules, {time_ns()} AS made_ns FROM spans GROUP BY start_ns / {DAY}, trace_id"
    )
    tables.execute("TRUNCATE TABLE clew_trace")
    counted = translation(source, query).sql
    tables.execute(f"INSERT INTO clew_trace {counted}")


def _copied(name: str, text: str, period: int) -> str:
    if name == "trace_id":
        return _TRACE.format("trace_id", text)
    if name == "session_id":
        return f"CASE WHEN session_id = '' THEN '' ELSE concat(session_id, '/', {text}) END"
    if name == "part":
        trace = _TRACE.format("substring(part, 7)", text)
        return (
            f"CASE WHEN part LIKE 'trace:%' THEN concat('trace:', {trace}) "
            f"ELSE concat(part, '/', {text}) END"
        )
    return f"{name} + copy * {period}" if name in _SHIFTED else name
