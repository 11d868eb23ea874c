"""PySpark's own server, with two executors as processes: the same answers, and killed workers."""

import os
import signal
from contextlib import closing
from threading import Thread

import pytest

from clew import sessions
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError
from clew.store.database import connect
from clew.store.writer import Writer
from tests.release.engines import spark_support
from tests.support.generated_stores import generated_store

pytestmark = [
    spark_support.skip,
    spark_support.needs_pyspark,
    pytest.mark.timeout(900),
]
SESSIONS = "SELECT * FROM sessions ORDER BY session_id"
SCHEMA = "part string, spans bigint, worker bigint, executor bigint"


@pytest.fixture(scope="module")
def server():
    with spark_support.spark("local-cluster[2,1,640]") as address:
        yield address


@pytest.fixture(scope="module")
def records():
    first, late = generated_store(3)
    return [*first, *late]


@pytest.fixture
def url(server, records, tmp_path):
    return f"{server}/?path={spark_support.lake_of(records, tmp_path)}"


def test_what_is_not_there_is_an_error_and_so_is_a_table_without_its_format(server, tmp_path):
    from clew.sessions.engines.spark_engine import open_engine

    (tmp_path / "table" / "_delta_log").mkdir(parents=True)
    (tmp_path / "table" / "_delta_log" / "0.json").write_text("{}")
    for asked, said in (
        (f"path={tmp_path}/nowhere", "Spark says: .*PATH_NOT_FOUND"),
        ("table=nowhere", "Spark says: .*TABLE_OR_VIEW_NOT_FOUND"),
        (f"path={tmp_path}/table", "add &format=delta to the URL"),
    ):
        with pytest.raises(EngineError, match=said):
            open_engine(f"{server}/?{asked}")


def expected_parts(records):
    """Return the traces of each session, and how many spans it has in them."""
    parts = {}
    for it in records:
        if session := it.attributes.get("session.id"):
            parts.setdefault(session, set()).add(it.trace_id.hex())
    spans = {it.span_id: it.trace_id.hex() for it in records}.values()
    return parts, {part: sum(it in traces for it in spans) for part, traces in parts.items()}


def counting(folder):
    """Return a function for the workers; the first of them waits until it is killed."""
    folder = str(folder)

    def counted(table):
        import os
        from pathlib import Path

        import pyarrow as pa

        daemon = Path(f"/proc/{os.getppid()}/stat").read_text("ascii")
        executor = int(daemon.rpartition(")")[2].split()[1])
        try:
            Path(folder, "turn").rename(Path(folder, "taken"))
        except OSError:
            pass
        else:
            Path(folder, "who").write_text(f"{os.getpid()} {executor}", "ascii")
            Path(folder, "never").read_bytes()
        return pa.table(
            {
                "part": table.column(0).slice(0, 1),
                "spans": pa.array([len(table)], pa.int64()),
                "worker": pa.array([os.getpid()], pa.int64()),
                "executor": pa.array([executor], pa.int64()),
            }
        )

    return counted


def test_sessions_are_the_same_and_their_times_exact(records, url, monkeypatch, tmp_path):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    with closing(connect(tmp_path / "sessions.db", create=True)) as connection:
        Writer(connection).add(records)
    spans = "SELECT span_id, start_ns, end_ns, seconds, cost FROM spans ORDER BY span_id"
    with sessions.open() as expected, sessions.open(url) as found:
        assert list(found.sql(spans)) == list(expected.sql(spans))
        assert list(found.sql(SESSIONS)) == list(expected.sql(SESSIONS))


def test_a_table_is_read_like_files(url, records):
    from pyspark.sql.connect.session import SparkSession

    from clew.sessions.engines.spark_engine import open_engine

    server, _, lake = url.partition("/?path=")
    session = SparkSession.builder.remote(server).create()
    try:
        session.conf.set("spark.sql.legacy.parquet.nanosAsLong", "true")
        session.sql(f"CREATE TABLE spans_of_test USING parquet LOCATION '{lake}'")
        with closing(open_engine(f"{server}/?table=default.spans_of_test")) as engine:
            sql = f"SELECT span_id, start_ns FROM ({engine.spans_sql(Window())}) AS spans"
            assert set(engine.query(sql).rows) == {(it.span_id.hex(), it.start) for it in records}
    finally:
        session.stop()


def test_two_workers_of_two_executors_share_the_sessions(records, url, tmp_path):
    from clew.sessions.engines.spark_engine import open_engine

    parts, spans = expected_parts(records)
    with closing(open_engine(url)) as engine:
        found = list(engine.grouped(parts, counting(tmp_path), SCHEMA))
    assert {part: number for part, number, *_ in found} == spans
    workers, executors = ({row[place] for row in found} for place in (2, 3))
    assert os.getpid() not in workers
    assert len(workers) == len(executors) == 2


@pytest.mark.parametrize("killed", ["worker", "executor"])
def test_when_a_worker_is_killed_the_answer_is_right_or_an_error(killed, records, url, tmp_path):
    from clew.sessions.engines.spark_engine import open_engine

    parts, spans = expected_parts(records)
    folder = tmp_path / "signals"
    folder.mkdir()
    (folder / "turn").touch()
    os.mkfifo(folder / "who")
    os.mkfifo(folder / "never")
    answers = []

    def ask():
        try:
            with closing(open_engine(url)) as engine:
                answers.append(list(engine.grouped(parts, counting(folder), SCHEMA)))
        except EngineError as error:
            answers.append(error)

    asking = Thread(target=ask)
    asking.start()
    worker, executor = map(int, (folder / "who").read_text("ascii").split())
    os.kill(worker if killed == "worker" else executor, signal.SIGKILL)
    asking.join()
    (answer,) = answers
    # Spark starts the work again on another worker.
    assert not isinstance(answer, EngineError), answer
    assert sorted((part, number) for part, number, *_ in answer) == sorted(spans.items())
    assert worker not in {row[2] for row in answer}
