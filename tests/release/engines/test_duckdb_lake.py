"""A folder that ``clew export`` has written is read as the store is, and can be changed."""

import os
import subprocess
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner

from clew import evaluations, sessions
from clew.cli import main
from clew.evaluations import Evaluation
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.records import NAMES, records_of
from clew.sessions.engines.schema import SPANS
from clew.store.database import connect
from clew.store.reader import spans_after
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, turn
from tests.support.far_times import far_spans
from tests.support.generated_stores import generated_store

if os.environ.get("ENGINE") != "duckdb":
    pytest.skip("run nox -s engines", allow_module_level=True)
import duckdb

from clew.sessions.engines.duckdb_engine import open_engine

DAY = 86_400 * SECOND
KILLED = """
import os, signal, sys
from clew.sessions.engines import parquet_files
from clew.sessions.engines.duckdb_engine import open_engine

replace, calls = parquet_files.replace, []

def killed(new, path):
    calls.append(path)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(new, path)

parquet_files.replace = killed
open_engine(sys.argv[1]).delete_spans(sys.argv[2:])
"""


@pytest.fixture(autouse=True)
def path(tmp_path, monkeypatch):
    path = tmp_path / "sessions.db"
    monkeypatch.setenv("CLEW_STORE", str(path))
    return path


def add(path, spans):
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(spans)


def export(folder):
    done = CliRunner().invoke(main, ["export", "--to", "parquet", f"{folder}/"])
    assert done.exit_code == 0, done.output
    return f"parquet:{folder}"


def spans(store, kind):
    columns = ", ".join(it.name for it in SPANS)
    query = (
        f"SELECT {columns} FROM spans WHERE coalesce(kind, '') {kind} 'EVALUATOR' "
        "ORDER BY trace_id, span_id"
    )
    return [dict(row) for row in store.sql(query)]


@pytest.mark.parametrize("seed", range(3))
def test_the_view_of_spans_is_that_of_the_store(seed, path, tmp_path):
    first, late = generated_store(seed)
    for some in (first, late):
        add(path, some)
        url = export(tmp_path / "lake [1]")
    with sessions.open() as store, sessions.open(url) as lake:
        expected = spans(store, "<>")
        assert len(expected) > 50
        assert spans(lake, "<>") == expected
    assert len(list((tmp_path / "lake [1]").glob("day=*"))) > 1
    with closing(connect(path, read_only=True)) as connection:
        stored = sorted(
            map(recorded, (it for _, it in spans_after(connection, 0, 10_000))),
            key=lambda it: it[:2],
        )
    with closing(open_engine(url)) as engine:
        sql = f"SELECT {', '.join(NAMES)} FROM ({engine.spans_sql(Window())})"
        rows = engine.query(f"{sql} ORDER BY trace_id, span_id").rows
    assert [recorded(it) for it in records_of(rows, has_types=True)] == stored


def recorded(span):
    """Return what the view does not show, and the ids."""
    ids = (span.trace_id, span.span_id)
    return (*ids, span.kind, span.attributes, span.events, span.links, span.resource.attributes)


def test_evaluations_are_those_of_the_store(path, tmp_path):
    add(path, [*turn("a"), *turn("b")])
    with sessions.open() as store:
        store.catch_up()
        for label in ("no", "yes"):
            evaluations.add(store, Evaluation("polite", label=label, session_id="a"))
    url = export(tmp_path / "lake")
    query = "SELECT session_id, name, label, annotator_kind, made_ns FROM {} ORDER BY made_ns"
    with sessions.open() as store, sessions.open(url) as lake:
        for view, number in (("evaluations", 1), ("evaluation_history", 2)):
            expected = [dict(row) for row in store.sql(query.format(view))]
            assert len(expected) == number
            assert [dict(row) for row in lake.sql(query.format(view))] == expected


def test_a_day_is_read_from_its_own_files_only(path, tmp_path):
    add(path, [it for number in range(3) for it in turn(number=number, start=START + number * DAY)])
    url = export(tmp_path / "lake")
    first = START // DAY * DAY
    window = Window(first + DAY, first + 2 * DAY - 1)
    # Where the rows were, nothing can be read. The end of a file, with its columns, is as it was.
    engine = open_engine(url)
    sql = engine.spans_sql(window)
    for date in ("2026-05-28", "2026-05-30"):
        (file,) = (tmp_path / "lake" / f"day={date}").iterdir()
        content = file.read_bytes()
        rows = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        file.write_bytes(content[:4] + b"\0" * (rows - 4) + content[rows:])
    assert len(engine.query(sql).rows) == 3
    with pytest.raises(EngineError):
        engine.query(engine.spans_sql(Window()))


@pytest.mark.parametrize("file", ["_delta_log/00.json", "metadata/00-a.metadata.json"])
def test_a_table_is_not_read_as_mere_files_which_may_be_of_deleted_rows(path, tmp_path, file):
    add(path, turn("a"))
    url = export(tmp_path / "lake")
    (tmp_path / "lake" / file).parent.mkdir()
    (tmp_path / "lake" / file).touch()
    for work in (open_engine, lambda it: sessions.open(it).forget(session="a")):
        with pytest.raises(EngineError, match=r"is a table of (Delta|Iceberg), .* sc://"):
            work(url)


def test_files_of_days_and_others_are_read_together(path, tmp_path):
    add(path, turn("in a folder"))
    url = export(tmp_path / "lake")
    add(path, turn("beside", number=2))
    arguments = [
        "export",
        "--to",
        "parquet",
        "--session",
        "beside",
        str(tmp_path / "lake/x.parquet"),
    ]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    engine = open_engine(url)
    for window in (Window(), Window(START // DAY * DAY), Window(None, START + DAY)):
        found = engine.query(f"SELECT DISTINCT session_id FROM ({engine.spans_sql(window)})").rows
        assert sorted(found) == [("beside",), ("in a folder",)]


def test_a_session_is_forgotten_in_all_files(path, tmp_path):
    for number in (1, 2):
        add(path, [*turn("a", number=number, start=START + number * DAY)])
        add(path, [*turn("b", number=number + 2, start=START + 2 * DAY)])
        url = export(tmp_path / "lake")
    kept = {
        it for it in (tmp_path / "lake").rglob("*.parquet") if it.parent.name < "day=2026-05-30"
    }
    with sessions.open(url) as store:
        assert {it.id for it in store.list()} == {"a", "b"}
        before = [it for it in spans(store, "<>") if it["session_id"] == "b"]
        assert store.forget(session="a") == (6, 2)
        assert [it.id for it in store.list()] == ["b"]
        assert spans(store, "<>") == before
    assert not [it for it in kept if it.exists()]  # Nothing else was in them.
    assert export(tmp_path / "lake") == url
    with sessions.open(url) as store:
        assert [it.id for it in store.list()] == ["b"]  # It is not exported again.


def test_nothing_that_was_forgotten_stays_in_a_file(path, tmp_path):
    add(path, [*turn("a", asked="my secret is Ada-17"), *turn("b", "bob", number=2)])
    url = export(tmp_path / "lake")
    path.unlink()
    out = str(tmp_path / "spans.jsonl")
    assert CliRunner().invoke(main, ["sessions", "--store", url]).exit_code == 0
    assert CliRunner().invoke(main, ["export", "--store", url, "--to", "jsonl", out]).exit_code == 0
    folders = [tmp_path / "engines", tmp_path / "lake"]
    assert {it.suffix for it in having(folders, b"Ada-17")} == {".db", ".duckdb"}
    with sessions.open(url) as other:  # Two in one process: whoever closes last does it.
        forget = ["forget", "--store", url, "--user", "ada", "--yes"]
        done = CliRunner().invoke(main, forget)
        assert done.exit_code == 0, done.output
        assert [it.id for it in other.list()] == ["b"]
    assert having(folders, b"Ada-17") == []
    assert not list((tmp_path / "engines").glob("*.erasing"))
    with sessions.open(url) as store:
        assert [it.id for it in store.list()] == ["b"]


def test_a_file_is_written_anew_later_if_the_process_is_killed(path, tmp_path):
    add(path, [*turn("a", asked="my secret is Ada-17"), *turn("b", number=2)])
    url = export(tmp_path / "lake")
    code = (
        "import os, signal, sys; from clew import sessions; store = sessions.open(sys.argv[1]); "
        "store.list(); store.forget(session='a'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, url], check=False, timeout=60)
    assert done.returncode == -9
    engines = [tmp_path / "engines"]
    assert having(engines, b"Ada-17")
    with sessions.open(url) as store:
        assert [it.id for it in store.list()] == ["b"]
    assert having(engines, b"Ada-17") == []


def having(folders, text):
    """Return the files in which these bytes are."""
    files = [it for folder in folders for it in folder.rglob("*") if it.is_file()]
    return [it for it in files if text in it.read_bytes()]


def test_a_killed_deletion_leaves_whole_files(path, tmp_path):
    for number in (1, 2):  # Two traces in each of two files.
        add(path, [*turn("a", number=number), *turn("b", number=number + 2)])
        url = export(tmp_path / "lake")
    engine = open_engine(url)
    query = f"SELECT session_id, trace_id FROM ({engine.spans_sql(Window())})"
    traces = sorted({trace for session, trace in engine.query(query).rows if session == "a"})
    assert len(traces) == 2
    done = subprocess.run([sys.executable, "-c", KILLED, url, *traces], check=False, timeout=120)
    assert done.returncode == -9
    assert sorted(it for it, _ in open_engine(url).query(query).rows) == ["a"] * 3 + ["b"] * 6
    open_engine(url).delete_spans(traces)
    assert [it for it, _ in open_engine(url).query(query).rows] == ["b"] * 6
    assert not list((tmp_path / "lake").rglob(".*"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("SELECT 1 AS id, 'x' AS name, 5 AS session_id", "x.parquet has a row without start"),
        ('SELECT * REPLACE (NULL AS "start") FROM {lake}', "x.parquet has a row without start"),
        ('SELECT * REPLACE (NULL AS "end") FROM {lake}', "x.parquet has a row without end"),
        ("SELECT * REPLACE (NULL AS trace_id) FROM {lake}", "rows without trace_id"),
        ("SELECT * REPLACE (NULL AS span_id) FROM {lake}", "no span, as it has no span_id"),
    ],
)
def test_a_file_that_has_other_rows_than_spans_is_named(path, tmp_path, row, said):
    add(path, turn())
    url = export(tmp_path / "lake")
    lake = f"read_parquet('{tmp_path}/lake/*/*.parquet')"
    file = next((tmp_path / "lake").glob("day=*")) / "x.parquet"
    duckdb.sql(f"COPY ({row.format(lake=lake)}) TO '{file}'")
    with sessions.open(url) as store, pytest.raises(EngineError, match=said):
        store.list()
    copied = CliRunner().invoke(main, ["export", "--store", url, "--to", "jsonl", "-"])
    assert copied.exit_code == 1
    assert isinstance(copied.exception, SystemExit), copied.exception


def test_a_row_without_attributes_is_a_span(path, tmp_path):
    add(path, turn())
    export(tmp_path / "lake")
    rows = f"SELECT * REPLACE (NULL AS attributes) FROM '{tmp_path}/lake/*/*.parquet'"
    duckdb.sql(f"COPY ({rows}) TO '{tmp_path}/other.parquet'")
    with sessions.open(f"parquet:{tmp_path}/other.parquet") as store:
        assert store.list() == []  # Of which session it is stands among them.
        assert store.sql("SELECT count(*) AS n FROM spans")[0]["n"] == 3


def test_the_names_of_folders_are_no_columns(path, tmp_path):
    add(path, turn("a", "ada"))
    folder = tmp_path / "user_id=nightly" / "service=checkout" / "day=2020-01-01" / "lake"
    folder.mkdir(parents=True)
    url = export(folder)
    with sessions.open(f"{url}?since=2026-05-01") as store:
        query = "SELECT DISTINCT user_id, service FROM spans"
        assert [it["user_id"] for it in store.sql(query)] == ["ada"]
        assert store.sql(query)[0]["service"] != "checkout"
        assert [it["user_id"] for it in store.users()] == ["ada"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("parquet:lake?sinse=1d", "unknown in the URL: sinse; known: since, until"),
        ("parquet:lake?since", "since='' is no time"),
        ("parquet:lake?table=spans", "unknown in the URL: table"),
        ("duckdb:file?tabel=spans", "unknown in the URL: tabel; known: since, table, until"),
        ("parquet:lake?until=9999-12-31", "until='9999-12-31' is too far away"),
        ("parquet:lake?since=0001-01-01", "since='0001-01-01' is too far away"),
        ("parquet:lake?since=9999999w", "since='9999999w' is too far away"),
    ],
)
def test_what_a_url_cannot_say_is_an_error(path, tmp_path, monkeypatch, url, said):
    add(path, turn())
    monkeypatch.chdir(tmp_path)
    export("lake")
    with pytest.raises(EngineError, match=said):
        sessions.open(url)


def test_what_s3_needs_is_said_and_not_fetched():
    with pytest.raises(
        EngineError, match="needs DuckDB's extension httpfs, which could not be loaded"
    ):
        open_engine("parquet:s3://bucket/spans")


def test_spans_of_the_first_and_the_last_times_are_read(path, tmp_path):
    add(path, far_spans())
    url = export(tmp_path / "lake")
    with sessions.open(path) as store, sessions.open(url) as lake:
        assert spans(lake, "<>") == spans(store, "<>")
        assert {it.id for it in lake.list()} == {it.id for it in store.list()}
    done = CliRunner().invoke(main, ["export", "--store", url, "--to", "jsonl", "-"])
    assert done.exit_code == 0, done.output
    assert done.stdout.count('"spanId"') == len(far_spans())
    with sessions.open(f"{url}?since=2260-01-01") as lake:
        assert len(spans(lake, "<>")) == 9
