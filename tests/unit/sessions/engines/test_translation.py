"""Questions in the SQL of SQLite become those of an engine, or are refused by name."""

import sqlite3
from decimal import Decimal

import pytest

sqlglot = pytest.importorskip("sqlglot")

from clew.sessions.engines.asking import rows
from clew.sessions.engines.engine import Answer, Window
from clew.sessions.engines.errors import EngineError, UnsupportedError
from clew.sessions.engines.parsing import parsed
from clew.sessions.engines.schema import PUBLIC
from clew.sessions.engines.translation import sessions_of, translated, window_of

CASE = "CASE WHEN 1 THEN 2 END"
MIXED = "CASE WHEN turns THEN 1 ELSE 2.5 END"
DIALECTS = ("duckdb", "clickhouse", "spark")


def translate(sql, parameters=(), dialect="duckdb"):
    return translated(sql, parameters, dialect, lambda _: "SELECT 1 AS trace_id")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("view", PUBLIC)
def test_every_view_is_there(view, dialect):
    found = translate(f"SELECT * FROM {view}", dialect=dialect)
    assert sqlglot.parse_one(found.sql, read=dialect)
    assert found.names


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM sessions", "selects nothing"),
        ("SELECT 1; SELECT 2", "one statement, and there are 2"),
        ("SELECT * FROM clients", "no table clients; there are sessions, turns"),
        ("SELECT * FROM other.sessions", "no table other.sessions"),
        ("SELECT * FROM read_csv('/etc/passwd')", "is no table"),
        ("SELECT nothing FROM sessions", "nothing"),
        ("SELECT * FROM", "cannot be answered"),
        ("SELECT ? FROM sessions", "1 question marks, and 0 values"),
    ],
)
def test_what_is_no_question_is_refused(sql, said):
    with pytest.raises(EngineError, match=said):
        translate(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT round(cost, 2) FROM sessions",
        f"SELECT {MIXED} / 2 FROM sessions",
        f"SELECT (1 + {MIXED}) / turns FROM sessions",
        f"SELECT 3 / -{MIXED} FROM sessions",
        f"SELECT sum({MIXED}) / 2 FROM sessions",
        f"SELECT a / 2 FROM (SELECT {MIXED} AS a FROM sessions)",
        f"WITH b AS (SELECT {MIXED} AS a FROM sessions) SELECT max(a) / 2 FROM b",
        f"SELECT (SELECT {MIXED} FROM sessions) / 2",
        "SELECT max(cost, turns) / 2 FROM sessions",
        "SELECT iif(cost, cost, 1) / 2 FROM sessions",
        "SELECT coalesce(cost, turns) / 2 FROM sessions",
        "SELECT json_extract(attributes, '$.a') FROM spans",
        "SELECT group_concat(model) FROM spans",
        "SELECT strftime('%Y', first_ns) FROM sessions",
        "SELECT * FROM sessions WHERE session_id GLOB 'a*'",
        "SELECT * FROM sessions WHERE session_id NOT GLOB 'a*'",
        "SELECT * FROM sessions WHERE session_id NOT REGEXP 'a'",
        "SELECT * FROM sessions WHERE session_id NOT ILIKE 'a'",
        "SELECT * FROM sessions WHERE session_id NOT LIKE user_id",
        "SELECT * FROM sessions WHERE session_id LIKE user_id",
        "SELECT CAST(session_id AS INTEGER) FROM sessions",
        "SELECT session_id || cost FROM sessions",
        "SELECT substr(session_id, -3) FROM sessions",
        "SELECT substr(session_id, 1.5) FROM sessions",
        "SELECT substr(session_id, 3, -2) FROM sessions",
        "SELECT substr(session_id, 3, turns) FROM sessions",
        "SELECT substr(turns, 1, 2) FROM sessions",
        "SELECT user_id IS TRUE FROM sessions",
        "SELECT turns << 2 FROM sessions",
        "SELECT cost & 1 FROM sessions",
        "SELECT random() FROM sessions",
        "SELECT hex(session_id) FROM sessions",
        "SELECT lower(hex(t.trace_id)) FROM turns AS t",
    ],
)
def test_what_would_mean_something_else_is_refused_by_name(sql):
    with pytest.raises(UnsupportedError, match="does not mean the same on every engine"):
        translate(sql)


@pytest.mark.parametrize(
    "selected",
    [
        "coalesce(cost, 0) / 2",
        "sum(coalesce(cost, 0)) / count(*)",
        "sum(cost) / max(sum(turns), 1)",
        "sum(errors > 0) * 1.0 / count(*)",
        "CASE WHEN turns THEN 1 ELSE 0 END * 100.0 / 3",
        "avg(coalesce(cost, 1)) / 2",
        "sum(turns + 1) / 2",
        f"{MIXED} / 2.0",
        f"{MIXED} / friction",
        f"total({MIXED}) / 2",
    ],
)
def test_a_division_that_is_certain_is_answered(selected):
    assert translate(f"SELECT {selected} FROM sessions").sql


@pytest.mark.parametrize("dialect", DIALECTS)
def test_values_are_constants_whatever_is_in_them(dialect):
    text = 'it\'s \\ "quoted" % ? :x\n'
    found = translate("SELECT session_id FROM sessions WHERE user_id = ?", (text,), dialect)
    (constant,) = [
        it.name
        for it in sqlglot.parse_one(found.sql, read=dialect).find_all(sqlglot.exp.Literal)
        if it.is_string and "quoted" in it.name
    ]
    assert constant == text


def test_ids_that_are_bytes_are_hexadecimal_text():
    sql = "SELECT trace_id FROM turns WHERE trace_id = :id AND root_id <> X'0AFF'"
    found = translate(sql, {"id": b"\x0a\x01"})
    assert "'0a01'" in found.sql
    assert "'0aff'" in found.sql


def test_a_condition_is_a_number_as_in_sqlite():
    found = translate("SELECT sum(errors > 0) AS n FROM sessions WHERE turns AND NOT errors")
    assert "CASE WHEN" in found.sql
    assert '"turns" <> 0' in found.sql


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("0.0000025", "2.5e-06"),
        ("0.1", "0.1e0"),
        ("1.0", "1.0e0"),
        ("1e3", "1000.0e0"),
        ("9223372036854775809", "9.223372036854776e+18"),
        ("9223372036854775807", "9223372036854775807"),
        ("'0.1'", "'0.1'"),
    ],
)
def test_a_number_with_a_fraction_is_no_decimal(dialect, number, text):
    found = translate(f"SELECT {number} AS n FROM sessions", (), dialect)
    assert f"SELECT {text} AS" in found.sql


def test_what_an_engine_answers_is_of_the_types_of_sqlite():
    class Fake:
        dialect, spans_sql = "duckdb", staticmethod(lambda _: "")
        window = Window()

        def query(self, sql):
            return Answer(("a", "b", "c"), [(Decimal("0.5"), True, 1)])

    (row,) = rows(Fake(), "SELECT 1")
    assert [(it, type(it)) for it in row] == [(0.5, float), (1, int), (1, int)]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("escape", ["", " ESCAPE '!'"])
@pytest.mark.parametrize(
    "select", ["{}", "CASE WHEN {} THEN 1 END", "sum({})", "count(*) FILTER (WHERE {})"]
)
def test_not_like_is_not_like(dialect, escape, select):
    def asked(operator):
        condition = f"user_id {operator} 'a%'{escape}"
        found = translate(f"SELECT {select.format(condition)} AS n FROM sessions", (), dialect)
        query = sqlglot.parse_one(found.sql, read=dialect).selects[0]
        negated = [it for it in query.find_all(sqlglot.exp.Like) if it.args.get("negate")]
        return len(list(query.find_all(sqlglot.exp.Not))) + len(negated)

    assert asked("NOT LIKE") > asked("LIKE")


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT count(*),  MAX( turns ) FROM sessions", ["count(*)", "MAX( turns )"]),
        ("SELECT DISTINCT turns+1, 'a' FROM sessions", ["turns+1", "'a'"]),
        ("SELECT TURNS, s.Cost, (user_id) FROM sessions s", ["turns", "cost", "user_id"]),
        (
            "SELECT turns AS N, turns \"My N\", user_id 'My Id' FROM sessions",
            ["N", "My N", "My Id"],
        ),
        ("SELECT count(*) AS N FROM sessions UNION SELECT turns FROM sessions", ["N"]),
        ("SELECT (SELECT 1) AS Y, (SELECT 2 FROM sessions)", ["Y", "(SELECT 2 FROM sessions)"]),
        (
            "SELECT CASE WHEN 1 THEN 2 END, 1 IS NOT DISTINCT FROM 2",
            [CASE, "1 IS NOT DISTINCT FROM 2"],
        ),
        ("SELECT count(*) /* of all */ FROM sessions", ["count(*) /* of all */"]),
        ("SELECT t.M, n FROM (SELECT turns AS m, user_id AS N FROM sessions) AS t", ["m", "N"]),
        ("WITH X AS (SELECT turns AS Many FROM sessions) SELECT * FROM x", ["Many"]),
        (
            "WITH x(A, b) AS (SELECT turns, user_id FROM sessions) SELECT *, a FROM x",
            ["A", "b", "A"],
        ),
        ("SELECT a.turns, b.turns FROM sessions AS a, sessions AS b", ["turns", "turns"]),
        ("SELECT :given, 1 FROM sessions", [":given", "1"]),
    ],
)
def test_columns_have_the_names_that_sqlite_gives_them(sql, names):
    given = {"given": 1}
    for dialect in DIALECTS:
        assert list(translate(sql, given, dialect).names) == names
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE sessions (turns, cost, user_id)")
    assert [it[0] for it in connection.execute(sql, given).description] == names
    connection.close()


def test_no_two_columns_have_one_name_on_an_engine():
    sql = "SELECT a.turns, b.turns, a.turns AS turns_2 FROM sessions AS a, sessions AS b"
    found = translate(sql, dialect="clickhouse")
    selected = sqlglot.parse_one(found.sql, read="clickhouse").named_selects
    assert len(set(selected)) == 3
    assert list(found.names) == ["turns", "turns", "turns_2"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["session", "Turn", "evaluation", "SPANS", "busy", "turns"])
def test_a_common_table_expression_may_have_any_name(dialect, name):
    asked = f"SELECT {name}.n FROM {name.upper()} AS {name} JOIN {name.lower()} AS other USING (n)"
    found = translate(f"WITH {name} AS (SELECT turns AS n FROM sessions) {asked}", (), dialect)
    defined = [
        it.alias for it in sqlglot.parse_one(found.sql, read=dialect).find_all(sqlglot.exp.CTE)
    ]
    assert len(set(defined)) == len(defined)
    assert f"own_{name.lower()}" in defined


@pytest.mark.parametrize(
    ("condition", "window"),
    [
        ("start_ns >= 5 AND start_ns < 9", (5, 10)),
        ("start_ns > 5 AND name = 'x'", (5, None)),
        ("start_ns = 7", (7, 8)),
        ("start_ns >= 5 OR name = 'x'", (None, None)),
        ("NOT start_ns >= 5", (None, None)),
        ("end_ns < 5", (None, None)),
    ],
)
def test_the_time_is_bounded_first(condition, window):
    assert window_of(parsed(f"SELECT name FROM spans WHERE {condition}")) == Window(*window)


def test_of_two_selects_the_window_contains_both():
    sql = "SELECT name FROM spans WHERE start_ns >= 5 AND start_ns < 9 UNION SELECT name FROM spans"
    assert window_of(parsed(f"{sql} WHERE start_ns >= 2")) == Window(2, None)


def test_clickhouse_refuses_what_it_would_answer_wrongly():
    sql = (
        "SELECT session_id, (SELECT count(*) FROM turns WHERE turns.session_id = "
        "sessions.session_id) AS n FROM sessions"
    )
    assert translate(sql).names == ("session_id", "n")
    with pytest.raises(UnsupportedError, match="join it"):
        translate(sql, dialect="clickhouse")


def test_clickhouse_sorts_by_what_is_selected_under_a_name():
    sql = "SELECT user_id, max(last_ns) AS last_ns FROM sessions GROUP BY user_id ORDER BY last_ns"
    assert translate(sql, dialect="clickhouse").sql.endswith("ORDER BY 2 NULLS FIRST")


@pytest.mark.parametrize(
    ("sql", "sessions"),
    [
        ("SELECT * FROM turns WHERE session_id = 'a'", ("a",)),
        ("SELECT * FROM turns AS t WHERE t.session_id = 'a' AND errors > 0", ("a",)),
        ("SELECT * FROM sessions WHERE session_id IN ('a', 'b')", ("a", "b")),
        ("SELECT * FROM turns", ()),
        ("SELECT * FROM turn WHERE session_id = ''", ()),
        ("SELECT * FROM turns WHERE session_id = 'a' OR errors > 0", ()),
        ("SELECT * FROM turns WHERE NOT session_id = 'a'", ()),
        ("SELECT * FROM turns WHERE session_id > 'a'", ()),
        ("SELECT * FROM turns WHERE session_id = user_id", ()),
        ("SELECT * FROM (SELECT user_id AS session_id FROM turns) WHERE session_id = 'a'", ()),
        ("WITH t AS (SELECT * FROM turns) SELECT * FROM t WHERE session_id = 'a'", ()),
        ("SELECT * FROM turns JOIN sessions USING (session_id) WHERE session_id = 'a'", ()),
        (
            "SELECT * FROM turns WHERE session_id = 'a' UNION ALL SELECT * FROM turns",
            (),
        ),
    ],
)
def test_sessions_are_read_from_a_condition_that_restricts_everything(sql, sessions):
    assert sessions_of(parsed(sql)) == sessions


def test_batches_of_other_sessions_are_not_looked_for():
    found = translate("SELECT * FROM turns WHERE session_id = ?", ("it's",), dialect="clickhouse")
    assert "part IN ('session:it\\'s')" in found.sql or "part IN ('session:it''s')" in found.sql
    # The same text with another value is another query.
    other = translate("SELECT * FROM turns WHERE session_id = ?", ("b",), dialect="clickhouse")
    assert "'session:b'" in other.sql
    assert "session:" not in translate("SELECT * FROM turns", dialect="clickhouse").sql


@pytest.mark.parametrize("values", [(1,), (1.0,), (True,), ("1",), (b"1",), (None,)])
def test_values_that_are_equal_and_not_the_same_are_told_apart(values):
    for given in ((1,), (1.0,), (True,), ("1",), (b"1",), (None,)):
        translate("SELECT ? AS value FROM sessions", given)
    found = translate("SELECT ? AS value FROM sessions", values)
    (value,) = values
    text = {float: "1.0e0", bool: "1", bytes: "'31'", str: "'1'", type(None): "NULL"}.get(
        type(value), repr(value)
    )
    assert f"SELECT {text} AS" in found.sql


@pytest.mark.parametrize("view", PUBLIC)
def test_batches_are_looked_for_unless_parts_are_replaced(view):
    asked = {it: translate(f"SELECT * FROM {view}", dialect=it) for it in DIALECTS}
    assert "current_batch" not in asked["duckdb"].sql
    assert ("current_batch" in asked["clickhouse"].sql) == (view != "spans")
