"""The view `spans` over the Collector's table, in all of its forms, equals the SQLite view."""

import json
import math
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("chdb", reason="chdb is not installed")

import sqlglot

from clew.sessions.engines.clickhouse_engine import open_engine
from clew.sessions.engines.collector_rows import texts
from clew.sessions.engines.collector_values import attributes_of_text, read_object
from clew.sessions.engines.engine import Window
from clew.sessions.engines.records import NAMES, records_of
from clew.sessions.engines.schema import RECORDED, SPANS
from clew.sessions.store import SessionStore
from clew.sessions.words import turns_of
from clew.store.database import connect
from clew.store.record import Event, Link, Resource, Scope, SpanRecord
from clew.store.writer import Writer
from tests.release.engines.clickhouse_support import WAYS, fill_at, place, skip
from tests.support.broken_conversations import conversation
from tests.support.collector_tables import FORMS
from tests.support.conversation_spans import SECOND, START, turn
from tests.support.conversations import Conversations
from tests.support.hostile_spans import ATTACKS, hostile_session
from tests.support.traces import by_trace

pytestmark = skip
DAY = 86_400 * SECOND


def odd_spans():
    """Spans with what goes wrong easily."""
    plain = SpanRecord(bytes(15) + b"\7", bytes(7) + b"\7", None, "odd", START, START + 5, {})
    attributes = [
        {"gen_ai.conversation.id": "other", "enduser.id": "u", "gen_ai.system": "p"},
        {"gen_ai.request.model": "asked for", "gen_ai.usage.input_tokens": 3},
        {"gen_ai.response.model": "used", "gen_ai.request.model": "asked for"},
        {"llm.model_name": "m", "gen_ai.response.model": "n", "llm.token_count.prompt": 0},
        {"llm.cost.total": 0.1 + 0.2, "llm.token_count.total": 2**63 - 1},
        {"llm.cost.total": 1e-12, "llm.token_count.completion_details.reasoning": 7},
        {"session.id": "12", "user.id": "12.50", "llm.model_name": "true"},
        {"session.id": "é 自転車 \U0001f6b2 '\"\\`\n\t%{}", "user.id": "it's"},
        {"input.value": "x" * 10_000_000, "session.id": "long"},
        {"tag.tags": ("a", "b"), "llm.is_streaming": True, "metadata": '{"a": 1}'},
    ]
    for number, given in enumerate(attributes):
        yield replace(
            plain,
            span_id=number.to_bytes(8, "big"),
            parent_id=None if number % 2 else plain.span_id,
            start=START + number * DAY // 3,
            end=START + number * DAY // 3 + number * 7,
            attributes=given,
            kind=number % 6,
            status=number % 3,
            status_message="" if number % 4 else "why",
            events=(Event("n", START + 1, {"exception.message": "it's \\ \" \n"}),) * (number % 3),
            links=(Link(plain.trace_id, plain.span_id, {"a": 1}),) * (number % 2),
            resource=Resource({"service.name": "shop", "process.pid": number}),
            scope=Scope("openinference.instrumentation.openai", "1"),
        )
    yield replace(plain, trace_id=bytes(15) + b"\x08", name="", status_message="")


def everything():
    found = [span for made in Conversations(seed=5).sessions(15) for span in made]
    found += [span for made in conversation() for span in made]
    whole = [number for number, it in enumerate(ATTACKS) if "\ud83d" not in it]
    found += [span for number in whole for span in hostile_session(number, text="<x>")]
    found += turn(session="", user=None, cost=None, number=9)
    return [*found, *odd_spans()]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Everything in an SQLite store: its spans, and the rows of the view there."""
    path = tmp_path_factory.mktemp("sqlite") / "spans.db"
    connection = connect(path, create=True)
    spans = everything()
    Writer(connection).add(spans)
    connection.close()
    names = [it.name for it in SPANS]
    with SessionStore(path) as store:
        rows = [tuple(it.values()) for it in store.rows(f"SELECT {', '.join(names)} FROM spans")]
    return spans, {(row[0], row[1]): row for row in rows}


def translated(sql):
    return sqlglot.parse_one(sql, read="clickhouse").sql("clickhouse")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_every_row_and_column_is_that_of_sqlite(way, form, stored, tmp_path):
    spans, expected = stored
    with place(way, tmp_path) as url:
        fill_at(url, [*spans, *spans[:50]], form)  # Exporters retry.
        with closing(open_engine(url)) as engine:
            view = engine.spans_sql(Window())
            for sql in (view, translated(f"WITH spans AS ({view}) SELECT * FROM spans")):
                answer = engine.query(sql)
                assert list(answer.names) == [it.name for it in (*SPANS, *RECORDED)]
                assert len(answer.rows) == len(expected) == len(spans)
                for row in answer.rows:
                    compare(row, expected[row[0], row[1]])


def compare(row, expected):
    for column, found, known in zip(SPANS, row, expected, strict=False):
        if column.name == "attributes":
            read = attributes_of_text(read_object(found))
            for name in ("otel.scope.name", "otel.scope.version"):  # As the first form has it.
                read.pop(name, None)
            wanted = {key: it for key, it in texts(json.loads(known)).items() if it != ""}
            assert {key: it for key, it in texts(read).items() if it != ""} == wanted
        elif column.name in {"service", "scope"} and known and "\x00" in found:
            assert found.partition("\x00")[0] == known  # Where SQLite's JSON ends.
        elif isinstance(known, float) and found is not None:
            assert math.isclose(found, known, rel_tol=1e-9, abs_tol=1e-12), column.name
        else:
            unknown = column.null and known == ""  # An empty text is unknown, too.
            assert found == (None if unknown else known), column.name
            assert type(found) is type(None if unknown else known), column.name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_turns_are_the_same(way, form, stored, tmp_path):
    spans, _ = stored
    with place(way, tmp_path) as url:
        fill_at(url, spans, form)
        with closing(open_engine(url)) as engine:
            view = translated(
                f"WITH s AS ({engine.spans_sql(Window())}) SELECT {', '.join(NAMES)} FROM s"
            )
            rows = [row for block in engine.batches(view) for row in block]
    found = {it.trace_id: it for it in map(_turns, by_trace(records_of(rows, has_types=False)))}
    known = {it.trace_id: it for it in map(_turns, by_trace(spans))}
    assert found == known
    assert len(found) > 50


class _Turns(tuple):
    __slots__ = ()
    trace_id = property(lambda self: self[0])


def _turns(trace):
    return _Turns((trace[0].trace_id, *turns_of(trace)))


@pytest.mark.parametrize("way", WAYS)
def test_records_have_what_was_recorded(way, tmp_path):
    made = Event("exception", START + 7, {"exception.message": "no", "gen_ai.x": "1"})
    spans = turn(error="it broke", found=("a document",))
    spans = [replace(it, events=(made,), scope=Scope("openai"), flags=0) for it in spans]
    with place(way, tmp_path) as url:
        fill_at(url, spans)
        with closing(open_engine(url)) as engine:
            rows = engine.query(
                f"SELECT {', '.join(NAMES)} FROM ({engine.spans_sql(Window())})"
            ).rows
    found = {it.span_id: it for it in records_of(rows, has_types=False)}
    assert found == {it.span_id: it for it in spans}


@pytest.mark.parametrize("form", FORMS)
def test_a_day_reads_the_parts_of_that_day(form, tmp_path):
    spans = [
        replace(it, start=it.start + day * DAY, end=it.end + day * DAY)
        for day in range(5)
        for it in turn(number=day)
    ]
    fill_at(f"chdb:{tmp_path}", spans, form)
    with closing(open_engine(f"chdb:{tmp_path}")) as engine:
        since = (START // DAY + 2) * DAY
        view = engine.spans_sql(Window(since, since + DAY))
        assert len(engine.query(view).rows) == 3
        for sql in (
            view,
            translated(f"WITH s AS ({view}) SELECT count(*) FROM s WHERE kind = 'LLM'"),
        ):
            known = indexes(engine, sql)
            assert known[0]["Initial Parts"] == 5
            assert known[-1]["Selected Parts"] == 1


@pytest.mark.parametrize("condition", ["trace_id = '0123'", "session_id = 'chat-42'"])
def test_a_condition_is_asked_before_rows_are_compared(condition, tmp_path):
    fill_at(f"chdb:{tmp_path}", turn())
    with closing(open_engine(f"chdb:{tmp_path}")) as engine:
        view = engine.spans_sql(Window(by_session="session_id" in condition))
        sql = translated(f"WITH s AS ({view}) SELECT attributes FROM s WHERE {condition}")
        plan = "\n".join(line for (line,) in engine.query(f"EXPLAIN actions = 1 {sql}").rows)
    assert "Prewhere filter" in plan.partition("LimitBy")[2]


def indexes(engine, sql):
    """Return what ClickHouse knows of the parts to read, without reading them."""
    said = engine.query(f"EXPLAIN json = 1, indexes = 1 {sql}").rows
    waiting = [json.loads("".join(line for (line,) in said))[0]["Plan"]]
    found = []
    while waiting:
        plan = waiting.pop()
        found += plan.get("Indexes", ())
        waiting += plan.get("Plans", ())
    return found


@pytest.mark.parametrize("form", FORMS)
def test_links_and_events_are_lists(form, tmp_path):
    spans = [it for it in odd_spans() if "long" not in it.attributes.values()]
    fill_at(f"chdb:{tmp_path}", spans, form)
    with closing(open_engine(f"chdb:{tmp_path}")) as engine:
        view = engine.spans_sql(Window())
        sql = f"SELECT trace_id, span_id, events, links FROM ({view})"
        rows = {row[:2]: row[2:] for row in engine.query(sql).rows}
    assert len(rows) == len(spans)
    one = 1 if form == "json" else "1"
    for it in spans:
        events, links = rows[it.trace_id.hex(), it.span_id.hex()]
        known = [[link.trace_id.hex(), link.span_id.hex(), {"a": one}] for link in it.links]
        assert (json.loads(links) if links else []) == known
        assert len(json.loads(events) if events else []) == len(it.events)


def test_the_statements_in_the_docs_make_a_column_that_is_read(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "scale.md").read_text("utf-8")
    statements = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert statements
    url = f"chdb:{tmp_path}"
    fill_at(url, turn())
    with closing(open_engine(url)) as engine:
        for statement in statements:
            engine.execute(statement.rstrip(";\n"))
    with closing(open_engine(url)) as engine:
        engine.insert_records(turn(number=2, session="chat-43"))
        view = engine.spans_sql(Window())
        assert "SpanAttributes['session.id']" not in view
        found = engine.query(f"SELECT DISTINCT session_id FROM ({view}) ORDER BY session_id").rows
    assert found == [("chat-42",), ("chat-43",)]
