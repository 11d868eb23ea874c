"""What the URL of a ClickHouse says."""

import pytest

from clew.sessions.engines.clickhouse_address import address_of
from clew.sessions.engines.clickhouse_settings import COMPLETE, WANTED, to_send
from clew.sessions.engines.collector_table import literal, quoted, table_of
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.location import shown

MAP = "Map(LowCardinality(String), String)"
COLUMNS = {
    "Timestamp": "DateTime64(9)",
    **dict.fromkeys(("TraceId", "SpanId", "ParentSpanId", "SpanName", "SpanKind"), "String"),
    **dict.fromkeys(("ServiceName", "StatusCode", "StatusMessage"), "String"),
    "ResourceAttributes": MAP,
    "SpanAttributes": MAP,
    "Duration": "UInt64",
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("USER", "PASSWORD", "DATABASE"):
        monkeypatch.delenv(f"CLICKHOUSE_{name}", raising=False)


def test_everything_in_the_url():
    url = "clickhouse://ada:p%40ss%2F@db.example:9443/otel?table=spans&secure=1"
    found = address_of(url)
    assert (found.host, found.port, found.secure) == ("db.example", 9443, True)
    assert (found.database, found.table) == ("otel", "spans")
    assert found.credentials == ("ada", "p@ss/")
    assert found.label == "clickhouse://db.example:9443/otel"
    for text in (repr(found), str(found), f"{found}"):
        assert "p@ss" not in text
        assert "ada" not in text


def test_what_is_not_said():
    found = address_of("clickhouse://localhost")
    assert (found.port, found.secure, found.database) == (None, False, "default")
    assert found.table == "otel_traces"
    assert found.credentials == ("default", "")


def test_the_environment_says_who_asks(monkeypatch):
    monkeypatch.setenv("CLICKHOUSE_USER", "bob")
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "hush")
    assert address_of("clickhouse://localhost/otel").credentials == ("bob", "hush")
    assert address_of("clickhouse://ada@localhost/otel").credentials == ("ada", "hush")


def test_chdb_names_a_folder(tmp_path):
    found = address_of(f"chdb:{tmp_path}?table=spans&database=otel")
    assert (found.folder, found.database, found.table) == (tmp_path, "otel", "spans")
    assert found.label == f"chdb:{tmp_path}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("clickhouse:///otel", "names no host"),
        ("clickhouse://u:hush@h:x/otel", "no usable port"),
        (
            "clickhouse://u:hush@h/otel?tabel=x",
            "unknown in the URL: tabel; known: secure, since",
        ),
        ("clickhouse://u:hush@h/otel?secure=perhaps", "neither 1 nor 0"),
        ("clickhouse://u:hush@a:9000,b:9000/otel", "//a:9000,b:9000/otel names several hosts"),
        ("clickhouse://u:hush@a,b/otel", "names several hosts, and one is asked"),
        ("chdb:", "names no folder"),
    ],
)
def test_unusable_urls_say_why_and_no_password(url, said):
    with pytest.raises(EngineError, match=said) as raised:
        address_of(url)
    assert "hush" not in str(raised.value)


def test_the_time_is_bounded_first():
    table = table_of("`otel`.`otel_traces`", [(*it, "", "") for it in COLUMNS.items()])
    sql = table.spans_sql(Window(5, 9))
    assert "WHERE Timestamp >= fromUnixTimestamp64Nano(5)" in sql
    assert "AND Timestamp < fromUnixTimestamp64Nano(9)" in sql
    assert "WHERE" not in table.spans_sql(Window())


def test_another_table_is_told_apart():
    with pytest.raises(EngineError, match="no column Timestamp, TraceId"):
        table_of("`otel`.`people`", [("name", "String", "", "")])


def test_copies_of_attributes_are_used():
    described = [(*it, "", "") for it in COLUMNS.items()]
    described += [
        ("Session", "LowCardinality(String)", "MATERIALIZED", "SpanAttributes['session.id']"),
        ("Tokens", "UInt32", "MATERIALIZED", "SpanAttributes['llm.token_count.total']"),
        ("User", "String", "ALIAS", "SpanAttributes['user.id']"),
    ]
    sql = table_of("t", described).spans_sql(Window())
    assert "nullIf(`Session`, '')" in sql
    assert "SpanAttributes['llm.token_count.total']" in sql
    assert "SpanAttributes['user.id']" in sql


def test_names_and_texts_in_sql():
    assert quoted("a`b\\") == "`a\\`b\\\\`"
    assert literal("it's \\n") == "'it\\'s \\\\n'"
    assert literal(-3) == "-3"


def test_settings_that_are_as_wanted_are_not_sent():
    assert to_send([(name, value, 1) for name, value in WANTED.items()], "ada") == {}
    assert to_send([("join_use_nulls", "false", 0)], "ada") == {"join_use_nulls": "1"}
    assert to_send([("max_query_size", "262144", 1)], "ada") == {}


@pytest.mark.parametrize("name", COMPLETE)
def test_nothing_is_left_out_of_an_answer(name):
    other = {"throw": "break", "deny": "local", "0": "1", "1": "0"}[COMPLETE[name]]
    assert to_send([(name, other, 0)], "ada") == {name: COMPLETE[name]}
    with pytest.raises(EngineError, match=f"answers .* in part.* {name} = "):
        to_send([(name, other, 1)], "ada")


def test_joins_of_what_is_on_several_servers_may_be_allowed():
    for mode in ("deny", "allow", "global"):
        assert to_send([("distributed_product_mode", mode, 1)], "ada") == {}


def test_settings_that_may_not_be_changed_are_an_error_that_says_what_to_do():
    with pytest.raises(EngineError, match=r"ada may not .*ALTER USER .* join_use_nulls = 1$"):
        to_send([("join_use_nulls", "0", 1)], "ada")


@pytest.mark.parametrize("secret", ["s3c/ret", "s3c#ret", "s3c?ret", "s3c@r/et", "7/ret"])
def test_nothing_of_a_password_is_shown_that_was_not_quoted(secret):
    told = shown(f"clickhouse://ada:{secret}@example.com/db")
    assert told == "clickhouse://…"


def test_what_has_no_password_is_shown():
    assert shown("clickhouse://example.com:8123/db?user=a") == "clickhouse://example.com:8123/db"
    assert shown("parquet:s3://bucket/a@b") == "parquet:s3://bucket/a@b"
