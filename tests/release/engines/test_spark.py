"""The engine Spark over Sail: times, windows, errors, tokens, and where the summaries are made."""

import os
import socket
from contextlib import closing
from dataclasses import replace
from threading import Thread

import pytest

from clew import evaluations, sessions
from clew.core.errors import EvaluationError
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError, UnsupportedError
from tests.release.engines import spark_support
from tests.release.engines.evaluated_engine import evals_file, run
from tests.support.generated_stores import DAY, MIDNIGHT, generated_store

pytestmark = [spark_support.skip, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def records():
    first, late = generated_store(3)
    return [*first, *late]


@pytest.fixture(scope="module")
def url(records, tmp_path_factory):
    return spark_support.fill(records, tmp_path_factory.mktemp("spark"))


@pytest.fixture
def engine(url):
    from clew.sessions.engines.spark_engine import open_engine

    with closing(open_engine(url)) as opened:
        yield opened


def ids(engine, window):
    sql = f"SELECT span_id, start_ns, end_ns FROM ({engine.spans_sql(window)}) AS spans"
    return sorted(engine.query(sql).rows)


def unique(records):
    return {(it.span_id.hex(), it.start, it.end) for it in records}


def test_times_are_exact_to_the_nanosecond(records, engine):
    assert any(it.start % 1000 for it in records)
    assert ids(engine, Window()) == sorted(unique(records))


def test_a_window_ends_at_its_very_nanosecond(records, engine):
    for start in sorted({it.start for it in records})[::7]:
        for window in (Window(start, None), Window(None, start), Window(start, start + 1)):
            since = window.since_ns or 0
            until = window.until_ns or 2**63
            wanted = {it for it in unique(records) if since <= it[1] < until}
            assert ids(engine, window) == sorted(wanted)


def test_files_of_another_time_are_not_read(records, url, engine, tmp_path):
    """One whose rows are broken does not matter, where its statistics say that it is older."""
    folder = tmp_path / "two"
    folder.mkdir()
    old = [replace(it, start=it.start - 900 * DAY, end=it.end - 900 * DAY) for it in records]
    two = spark_support.fill(records, folder)
    spark_support.more(old, two, folder)
    (broken,) = (folder / "lake").glob("part-1.parquet")
    content = bytearray(broken.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little") + 8
    content[4:-footer] = bytes(len(content) - 4 - footer)
    broken.write_bytes(content)
    from clew.sessions.engines.spark_engine import open_engine

    with closing(open_engine(two)) as opened:
        found = ids(opened, Window(since_ns=MIDNIGHT - 2 * DAY))
        assert found == sorted(unique(records))
        with pytest.raises(EngineError, match="Spark says"):
            ids(opened, Window())


def test_the_rows_come_some_at_a_time(engine):
    sizes = [len(it) for it in engine.batches("SELECT id FROM range(25000)")]
    assert sizes == [10_000, 10_000, 5_000]


def test_a_query_can_be_cancelled(engine):
    slow = "SELECT count(*) FROM range(9999999) a CROSS JOIN range(999999) b WHERE a.id <> b.id"
    raised = []

    def ask():
        try:
            engine.query(slow)
        except EngineError as error:
            raised.append(str(error))

    asking = Thread(target=ask)
    asking.start()
    while asking.is_alive():
        engine.cancel()
        asking.join(0.5)
    assert raised[0].endswith("cancelled")
    assert engine.query("SELECT 1 AS one").rows == [(1,)]


def test_the_summaries_are_made_by_the_server(records, engine):
    session = next(it for it in records if it.attributes.get("session.id"))

    def where(table):
        import os

        import pyarrow as pa

        from clew.sessions.engines import summary

        return pa.table({"pid": [os.getpid()], "rules": [summary.RULES], "spans": [len(table)]})

    parts = {"any": {session.trace_id.hex()}}
    ((pid, rules, spans),) = engine.grouped(parts, where, "pid bigint, rules bigint, spans bigint")
    assert pid != os.getpid()
    assert rules
    assert spans == len({it.span_id for it in records if it.trace_id == session.trace_id})


def test_the_same_sessions_are_found_without_workers(url, monkeypatch, tmp_path):
    found = []
    for number, options in enumerate(("", "&workers=no")):
        monkeypatch.setenv("CLEW_STORE", str(tmp_path / str(number) / "sessions.db"))
        with sessions.open(url + options) as store:
            found.append(list(store.sql("SELECT * FROM sessions ORDER BY session_id")))
    assert found[0]
    assert found[0] == found[1]


def test_nothing_is_written(engine):
    assert not engine.has_tables()
    for call in (
        lambda: engine.execute("CREATE TABLE t (a INT)"),
        lambda: engine.insert("clew_part", []),
        lambda: engine.delete("clew_part", "part", []),
        lambda: engine.delete_spans([]),
        engine.table_statements,
        engine.transaction,
    ):
        with pytest.raises(UnsupportedError, match="only read"):
            call()


def test_what_evaluators_say_stays_in_a_copy_and_that_is_told(url, monkeypatch, tmp_path):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    output = run("evaluate", "--store", url, "--json", "--limit", "2", evals_file())
    assert "is only read: Spark keeps no tables of clew's" in output
    assert '"made": 2' in output
    with sessions.open(url) as store, pytest.raises(EvaluationError, match="Spark keeps no tables"):
        evaluations.add(store, evaluations.Evaluation("solved", score=1, session_id="a"))


def test_no_server_is_an_error_at_once_without_the_token():
    from clew.sessions.engines.spark_engine import open_engine

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineError, match="no Spark Connect server answers") as error:
        open_engine(f"sc://127.0.0.1:{port}/;token=s3cret?table=spans")
    assert "s3cret" not in str(error.value)


def test_other_columns_than_those_of_spans_are_named(url):
    from clew.sessions.engines.spark_engine import open_engine

    server = url.partition("/?")[0]
    with pytest.raises(EngineError, match="table=nowhere: Spark says"):
        open_engine(f"{server}/;user_id=ada?table=nowhere")
