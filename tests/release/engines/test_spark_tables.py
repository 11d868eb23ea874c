"""Tables of Delta and Iceberg, which deltalake and pyiceberg have written, read by Sail."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clew import sessions
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError
from clew.store.database import connect
from clew.store.writer import Writer
from tests.release.engines import spark_support
from tests.support.asked_once import ask_once
from tests.support.generated_stores import DAY, generated_store
from tests.support.same_answers import differences

pytestmark = [spark_support.skip, pytest.mark.timeout(300)]
UTC_MICROSECONDS = pa.timestamp("us", "UTC")


def whole(records):
    """Return *records* with times of whole microseconds, which is what such tables keep."""
    return [replace(it, start=it.start // 1000 * 1000, end=it.end // 1000 * 1000) for it in records]


FIRST, LATE = map(whole, generated_store(3, sessions=2))


class Delta:
    """A table that is divided by day; times are timestamps, or whole numbers of nanoseconds."""

    kind = "delta"

    def __init__(self, folder, type_of_times=UTC_MICROSECONDS):
        self.location = str(folder / "delta")
        self._type = type_of_times

    def add(self, rows):
        from deltalake import write_deltalake

        rows = with_times(rows, self._type)
        write_deltalake(self.location, rows, mode="append", partition_by=["day"])

    def delete(self, column, value):
        from deltalake import DeltaTable

        DeltaTable(self.location).delete(f"{column} = '{value}'")

    def compact(self):
        from deltalake import DeltaTable

        assert DeltaTable(self.location).optimize.compact()["numFilesRemoved"] > 1


class Iceberg:
    """A table that is divided by day, in a catalog of pyiceberg's."""

    kind = "iceberg"

    def __init__(self, folder):
        from pyiceberg.catalog.sql import SqlCatalog

        self._catalog = SqlCatalog(
            "lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}"
        )
        self._catalog.create_namespace("traces")
        self.location = ""

    def add(self, rows):
        rows = with_times(rows, UTC_MICROSECONDS)
        if not self.location:
            table = self._catalog.create_table("traces.spans", schema=rows.schema)
            with table.update_spec() as spec:
                spec.add_identity("day")
            self.location = table.location()
        self._catalog.load_table("traces.spans").append(rows)

    def delete(self, column, value):
        from pyiceberg.expressions import EqualTo

        self._catalog.load_table("traces.spans").delete(EqualTo(column, value))


def with_times(rows, kind):
    types = {"start": kind, "end": kind}
    columns = [it.with_type(types.get(it.name, it.type)) for it in rows.schema]
    return rows.cast(pa.schema(columns))


def rows_of(records, folder):
    """Return *records* as `clew export --to parquet` writes them."""
    folder.mkdir(exist_ok=True)
    lake = Path(spark_support.lake_of(records, folder))
    return pq.read_table(max(lake.glob("*.parquet"), key=lambda it: int(it.stem.split("-")[1])))


def store(records):
    with closing(connect(Path("sessions.db"), create=True)) as connection:
        Writer(connection).add(records)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))


@pytest.fixture(params=[Delta, Iceberg])
def table(request, tmp_path):
    table = request.param(tmp_path)
    table.add(rows_of(FIRST, tmp_path / "exported"))
    return table


def by_path(table):
    return f"{spark_support.sail()}/?path={table.location}&format={table.kind}"


def test_the_answers_are_those_of_the_store(table, tmp_path):
    with sessions.open(by_path(table)) as found:
        found.catch_up()
    table.add(rows_of(LATE, tmp_path / "exported"))
    store([*FIRST, *LATE])
    with sessions.open() as expected, sessions.open(by_path(table)) as found:
        found.catch_up()
        ask_once(found)
        assert len(expected.list()) > 1
        assert not differences(expected, found, splits=True)


def test_a_table_of_a_catalog_is_asked_by_its_name(table):
    from pyspark.sql.connect.session import SparkSession

    # Sail's own catalog is that of a session, which clew goes on with here.
    server = f"{spark_support.sail()}/;session_id={uuid4()}"
    session = SparkSession.builder.remote(server).create()
    session.sql("CREATE DATABASE lake").toArrow()
    place = f"USING {table.kind} LOCATION '{table.location}'"
    session.sql(f"CREATE TABLE lake.spans {place}").toArrow()
    assert spans(f"{server}?table=lake.spans", Window()) == unique(FIRST)


def spans(url, window):
    from clew.sessions.engines.spark_engine import open_engine

    with closing(open_engine(url)) as engine:
        sql = f"SELECT span_id, start_ns, end_ns FROM ({engine.spans_sql(window)}) AS spans"
        return sorted(engine.query(sql).rows)


def unique(records):
    return sorted({(it.span_id.hex(), it.start, it.end) for it in records})


def test_what_is_deleted_from_a_table_is_gone(table):
    session = next(it.attributes["session.id"] for it in FIRST if it.attributes.get("session.id"))
    with sessions.open(by_path(table)) as found:
        assert found.get(session)
    table.delete("session_id", session)
    left = spans(by_path(table), Window())
    assert left
    assert left == unique(it for it in FIRST if it.attributes.get("session.id") != session)
    with sessions.open(by_path(table)) as found:
        assert session not in [it.id for it in found.list()]
    # Its files are there as they were, and would be read as Parquet.
    url = by_path(table).partition("&")[0]
    with pytest.raises(EngineError, match=f"add &format={table.kind} to the URL"):
        spans(url, Window())


def test_files_of_another_day_are_not_read(table):
    last = max(it.start for it in FIRST) // DAY * DAY
    for file in Path(table.location.removeprefix("file://")).rglob("*.parquet"):
        if any(f"day={day}" in str(file) for day in ("2026-05-26", "2026-05-27", "2026-05-28")):
            file.write_bytes(b"")
    assert spans(by_path(table), Window(since_ns=last)) == unique(
        it for it in FIRST if it.start >= last
    )
    with pytest.raises(EngineError, match="Spark says"):
        spans(by_path(table), Window())


def test_whole_numbers_keep_nanoseconds_and_files_may_be_compacted(tmp_path):
    records, _ = generated_store(3, sessions=3)
    assert any(it.start % 1000 for it in records)
    table = Delta(tmp_path, pa.int64())
    rows = rows_of(records, tmp_path / "exported")
    for number in range(4):
        table.add(rows.take(list(range(number, len(rows), 4))))
    middle = sorted(it.start for it in records)[len(records) // 2]
    later = unique(it for it in records if it.start >= middle)
    for change in (lambda: None, table.compact):
        change()
        assert spans(by_path(table), Window()) == unique(records)
        assert spans(by_path(table), Window(since_ns=middle)) == later


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_folder_that_is_no_table_is_an_error(kind, tmp_path):
    with pytest.raises(EngineError, match=f"path={tmp_path}&format={kind}: Spark says"):
        spans(f"{spark_support.sail()}/?path={tmp_path}&format={kind}", Window())
