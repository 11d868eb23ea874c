"""ClickHouse as an engine: answers as SQL says, clew's tables, cancelling, and what goes wrong."""

import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from dataclasses import replace
from threading import Thread
from time import time_ns

import pytest

pytest.importorskip("chdb", reason="chdb is not installed")

from clew.sessions.engines.clickhouse_engine import open_engine
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError, UnsupportedError
from clew.sessions.engines.schema import TABLES
from tests.release.engines.clickhouse_support import WAYS, fill_at, place, skip
from tests.support.clickhouse_server import running
from tests.support.conversation_spans import turn

pytestmark = skip
PASSWORDS = ("s3cret", "s3cret%2Fof%40writers", "s3cret/of@writers")
LONG = "SELECT count(*) FROM numbers(1000000000000) WHERE sipHash64(number) = 1"


@pytest.fixture(params=WAYS)
def engine(request, tmp_path):
    with place(request.param, tmp_path) as url, closing(open_engine(url)) as opened:
        yield opened


def test_nothing_of_a_query_that_failed_is_in_the_next_answer(engine):
    sql = "SELECT accurateCast(toInt128(number) * 9223372036854775807, 'Int64') FROM numbers(3)"
    for _ in range(2):
        with pytest.raises(EngineError, match=r"integer overflow|cannot be safely converted"):
            engine.query(sql)
        assert list(engine.query("SELECT 5.0 AS y, 5 AS z").rows) == [(5.0, 5)]


def test_a_whole_number_that_is_a_float_stays_one(engine):
    sql = "SELECT toFloat64(number) AS f, nullIf(toFloat64(number), 1) AS n FROM numbers(200000)"
    rows = [row for some in engine.batches(sql) for row in some]
    assert len(rows) == 200000
    assert {type(it) for it, _ in rows} == {type(it) for it, _ in engine.query(sql).rows} == {float}
    assert sorted(rows, key=lambda it: it[0])[:3] == [(0.0, 0.0), (1.0, None), (2.0, 2.0)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(a), max(a), min(a), avg(a), count(a), count(*) FROM t WHERE a > 100",
        "SELECT t.a, u.b FROM t LEFT JOIN (SELECT 1 AS a, 'x' AS b) AS u ON u.a = t.a",
        "SELECT a FROM t WHERE a NOT IN (1, 2) ORDER BY a",
        "SELECT count(*) FROM t WHERE a IN (1, NULL)",
        "SELECT a + 1 AS a FROM t WHERE a > 1 ORDER BY 1",
        "SELECT CAST(a AS TEXT) AS z FROM t WHERE a > 1 ORDER BY z",
        "SELECT 1 AS a UNION SELECT 1",
        "SELECT c, sum(a) AS total FROM t GROUP BY c ORDER BY total",
        "SELECT c, count(*) AS n FROM t GROUP BY c HAVING max(a) > 2 ORDER BY c",
        "SELECT max(a) AS m FROM t GROUP BY b ORDER BY m",
        "SELECT (SELECT max(x.a) FROM t AS x WHERE x.b = 'nobody')",
    ],
)
def test_answers_are_those_of_standard_sql(engine, sql):
    rows = [(1, "x", "p"), (2, "x", "p"), (4, "y", "q"), (5, "y", "r"), (None, "y", "p")]
    with closing(sqlite3.connect(":memory:")) as other:
        other.execute("CREATE TABLE t (a INTEGER, b TEXT, c TEXT)")
        other.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        expected = other.execute(sql).fetchall()
    engine.execute("CREATE TABLE t (a Nullable(Int64), b String, c String) ENGINE = Memory")
    engine.execute(
        "INSERT INTO t VALUES (1,'x','p'), (2,'x','p'), (4,'y','q'), (5,'y','r'), (NULL,'y','p')"
    )
    assert sorted(engine.query(sql).rows, key=repr) == sorted(expected, key=repr)


def test_texts_and_numbers_come_back(engine):
    sql = (
        "SELECT 'é 自転車 \U0001f6b2 \\' \" \\n' AS a, CAST(-9223372036854775808 AS Int64) AS b, "
        "0.1 + 0.2 AS c, NULL AS d, true AS e, toDate('2026-01-02') AS f, "
        "repeat(repeat('x', 1000), 10000) AS g"
    )
    answer = engine.query(sql)
    assert list(answer.names) == list("abcdefg")
    ((text, low, real, nothing, truth, day, long),) = answer.rows
    assert text == "é 自転車 \U0001f6b2 ' \" \n"
    assert (low, real, nothing, truth, day) == (-(2**63), 0.1 + 0.2, None, True, "2026-01-02")
    assert len(long) == 10_000_000


def test_an_answer_without_rows_has_names(engine):
    answer = engine.query("SELECT 1 AS one, 'x' AS two WHERE 1 = 0")
    assert (list(answer.names), list(answer.rows)) == (["one", "two"], [])
    assert list(engine.batches("SELECT 1 AS one WHERE 1 = 0")) == []


def test_rows_come_in_batches(engine):
    sizes = []
    total = 0
    for rows in engine.batches("SELECT number, repeat('x', 100) FROM numbers(500000)"):
        sizes.append(len(rows))
        total += sum(number for number, _ in rows)
    assert sum(sizes) == 500_000
    assert total == sum(range(500_000))
    assert max(sizes) < 100_000


def test_batches_need_not_be_read_to_their_end(engine):
    batches = engine.batches("SELECT number FROM numbers(10000000)")
    assert next(batches)[0] == (0,)
    batches.close()
    assert engine.query("SELECT 1").rows == [(1,)]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_query_is_cancelled_from_another_thread(engine, streamed):
    said = []

    def ask():
        try:
            if streamed:
                list(engine.batches(LONG))
            else:
                engine.query(LONG)
        except EngineError as error:
            said.append(str(error))

    asking = Thread(target=ask)
    asking.start()
    while asking.is_alive() and not said:
        engine.cancel()
        asking.join(0.05)
    asking.join()
    assert said == ["cancelled"]
    assert engine.query("SELECT 1").rows == [(1,)]


def test_cancel_without_a_query_does_nothing(engine):
    engine.cancel()
    assert engine.query("SELECT 1").rows == [(1,)]


def test_a_wrong_query_is_an_error_without_the_password(engine):
    with pytest.raises(EngineError, match="nope") as raised:
        engine.query("SELECT nope")
    shown = "".join(traceback.format_exception(raised.value)) + repr(engine) + engine.label
    assert not any(it in shown for it in PASSWORDS)


VALUES = {"text": "it's \\ 自\n", "int": 2**53 + 1, "float": 0.1}


def row_of(table, *, known=True):
    return {it.name: VALUES[it.type] if known or not it.null else None for it in TABLES[table]}


def test_the_tables_of_clew_are_made_and_keep_what_is_put_in(engine):
    assert not engine.has_tables()
    for statement in engine.table_statements():
        engine.execute(statement)
    assert engine.has_tables()
    for statement in engine.table_statements():
        engine.execute(statement)  # Again: nothing is lost.
    for table, columns in TABLES.items():
        names = ", ".join(it.name for it in columns)
        rows = [row_of(table), row_of(table, known=False)]
        if table == "clew_claims":  # ClickHouse deletes those of other days.
            rows = [{**it, "made_ns": time_ns()} for it in rows]
        with engine.transaction():
            engine.insert(table, rows)
            engine.insert(table, [])
        found = engine.query(f"SELECT {names} FROM {table}").rows
        expected = [tuple(it.values()) for it in rows]
        assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_rows_are_deleted(engine):
    for statement in engine.table_statements():
        engine.execute(statement)
    rows = [
        {**row_of("clew_part"), "part": f"p'{number}", "batch": number} for number in range(2500)
    ]
    engine.insert("clew_part", rows)
    engine.delete("clew_part", "part", [f"p'{number}" for number in range(1, 2500)])
    assert engine.query("SELECT part, batch FROM clew_part").rows == [("p'0", 0)]
    engine.delete("clew_part", "batch", [0])
    engine.delete("clew_part", "batch", [])
    assert engine.query("SELECT count(*) FROM clew_part").rows == [(0,)]


def test_spans_are_deleted_by_their_traces(engine):
    from clew.sessions.engines.clickhouse_tables import collector_statements
    from tests.support.collector_tables import row_in

    for statement in collector_statements("default", "otel_traces"):
        engine.execute(statement)
    spans = [it for number in range(3) for it in turn(number=number)]
    engine.insert_spans([row_in("map", it) for it in spans])
    ids = sorted({it.trace_id.hex() for it in spans})
    times = "SELECT DISTINCT TraceId FROM otel_traces_trace_id_ts ORDER BY TraceId"
    assert engine.query(times).rows == [(it,) for it in ids]
    engine.delete_spans(ids[1:])
    left = f"SELECT DISTINCT trace_id FROM ({engine.spans_sql(Window())})"
    assert engine.query(left).rows == [(ids[0],)]
    assert engine.query(times).rows == [(ids[0],)]


def test_what_cannot_be_deleted_is_said_by_name(engine):
    fill_of = "CREATE TABLE otel_traces (TraceId String) ENGINE = Memory"
    engine.execute(fill_of)
    with pytest.raises(UnsupportedError, match="ClickHouse cannot delete from otel_traces"):
        engine.delete_spans(["0123"])


def test_a_missing_table_says_what_to_do(engine):
    with pytest.raises(EngineError, match=r"has no table otel_traces .* \?table="):
        engine.spans_sql(Window())


def test_another_table_and_views_can_be_named(tmp_path):
    spans = [replace(it, flags=0) for it in turn()]
    fill_at(f"chdb:{tmp_path}", spans)
    with closing(open_engine(f"chdb:{tmp_path}?table=recent")) as engine:
        engine.execute("CREATE VIEW recent AS SELECT * FROM otel_traces WHERE SpanName = 'ask'")
        assert [row[5] for row in engine.query(engine.spans_sql(Window())).rows] == ["ask"]
        engine.execute("CREATE DATABASE other")
    with (
        closing(open_engine(f"chdb:{tmp_path}?database=other")) as engine,
        pytest.raises(EngineError, match="in the database other"),
    ):
        engine.spans_sql(Window())


def test_a_folder_that_another_process_has_open(tmp_path):
    code = "import chdb, sys; c = chdb.connect(sys.argv[1]); print('open', flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(EngineError, match="another process has it open"):
            open_engine(f"chdb:{tmp_path}")
        other.communicate("\n")


def test_who_may_not_change_settings_is_told_what_to_do(tmp_path):
    with running(tmp_path) as port:
        where = f"127.0.0.1:{port}/default"
        with pytest.raises(EngineError, match=r"guest may not .* ALTER USER") as raised:
            open_engine(f"clickhouse://guest:looks%20on@{where}")
        assert "looks on" not in "".join(traceback.format_exception(raised.value))
        for who in ("reader:reads%20only", "prepared:looks%20on"):
            with closing(open_engine(f"clickhouse://{who}@{where}")) as engine:
                assert engine.query("SELECT sum(number) FROM numbers(0)").rows == [(None,)]
                with pytest.raises(EngineError, match="readonly"):
                    engine.execute("CREATE TABLE x (a Int8) ENGINE = Memory")


DOWN = """<clickhouse><remote_servers><two><shard><replica>
<host>127.0.0.1</host><port>1</port>
</replica></shard></two></remote_servers></clickhouse>"""


def test_a_part_of_an_answer_is_an_error(tmp_path):
    (tmp_path / "cluster.xml").write_text(DOWN)
    folder = f"{tmp_path / 'clickhouse'}?config-file={tmp_path / 'cluster.xml'}"
    with running(folder) as port:
        where = f"127.0.0.1:{port}/default"
        with closing(open_engine(f"clickhouse://writer:{PASSWORDS[1]}@{where}")) as engine:
            engine.make_table()
            engine.execute(
                "CREATE TABLE everywhere AS otel_traces ENGINE = Distributed(two, default, x)"
            )
        url = f"clickhouse://hurried:a%20part%20will%20do@{where}"
        with (
            closing(open_engine(url)) as engine,
            pytest.raises(EngineError, match="TOO_MANY_ROWS"),
        ):
            engine.query("SELECT max(number) FROM numbers(1000000)")
        with (
            closing(open_engine(f"{url}?table=everywhere")) as engine,
            pytest.raises(EngineError, match="ALL_CONNECTION_TRIES_FAILED"),
        ):
            engine.query(f"SELECT count(*) FROM ({engine.spans_sql(Window())})")


def test_a_wrong_password_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("CLICKHOUSE_USER", "writer")
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "wrong-one")
    with running(tmp_path) as port:
        with pytest.raises(EngineError, match="Authentication failed") as raised:
            open_engine(f"clickhouse://127.0.0.1:{port}/default")
        shown = "".join(traceback.format_exception(raised.value))
        assert "wrong-one" not in shown
        monkeypatch.setenv("CLICKHOUSE_PASSWORD", "s3cret/of@writers")
        with closing(open_engine(f"clickhouse://127.0.0.1:{port}/default")) as engine:
            assert engine.query("SELECT 1").rows == [(1,)]


def test_nobody_is_there():
    password = "hush" * 2  # Which is in no line of this file.
    with pytest.raises(EngineError, match=r"127\.0\.0\.1") as raised:
        open_engine(f"clickhouse://ada:{password}@127.0.0.1:1/default")
    assert password not in "".join(traceback.format_exception(raised.value))


def test_several_threads_ask_at_once(engine):
    found = []

    def ask(number):
        found.append(engine.query(f"SELECT {number} + sum(number) FROM numbers(1000)").rows[0][0])

    threads = [Thread(target=ask, args=(number,)) for number in range(8)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()
    assert sorted(found) == [499_500 + number for number in range(8)]
