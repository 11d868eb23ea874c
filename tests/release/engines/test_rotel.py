"""From an application through a real collector into ClickHouse, and to clew's questions there.

The collector is Rotel, whose ClickHouse exporter fills the table of the OpenTelemetry Collector's.
"""

import json
import os
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("chdb", reason="chdb is not installed")

from clew import sessions
from clew.cli import main
from clew.sessions.engines.clickhouse_engine import open_engine
from clew.sessions.engines.collector_rows import texts
from clew.sessions.engines.engine import Window
from clew.sessions.engines.records import NAMES, records_of
from clew.sessions.opening import open_engine_store
from clew.store.database import connect
from clew.store.record import Event
from clew.store.writer import Writer
from tests.integration.examples.programs import Program
from tests.release.engines.clickhouse_support import place, skip
from tests.support import rotel
from tests.support.collector_tables import FORMS
from tests.support.commands import run_command
from tests.support.conversation_spans import turn
from tests.support.generated_stores import generated_store
from tests.support.same_answers import QUESTIONS, VIEWS, compared

pytestmark = [skip, rotel.needed]
EXAMPLE = Path(__file__).parents[3] / "examples" / "openai" / "app.py"
BOTH = """
import runpy, sys
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from clew import instrument_all

instrument_all()
_, example, other = sys.argv
exporter = OTLPSpanExporter(endpoint=f"{other}/v1/traces")
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(exporter))
sys.argv = [example, "--replay"]
runpy.run_path(example, run_name="__main__")
"""
"""Runs the example, and sends its spans to another place as well."""
USER, PASSWORD = "writer", "s3cret/of@writers"


@pytest.fixture
def clickhouse(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "clickhouse"
    folder.mkdir()
    with place("http", folder) as url:
        yield url


def settings(url, **further):
    """Return the settings of an exporter that writes into the ClickHouse at *url*."""
    return {
        "endpoint": f"http://{url.rpartition('@')[2].partition('/')[0]}",
        "database": "default",
        "user": USER,
        "password": PASSWORD,
        **further,
    }


def make_table(url, form=None):
    """Make the table in one of the forms that the Collector has made, or else as clew makes it."""
    with closing(open_engine(url)) as engine:
        if form:
            engine.execute(FORMS[form])
        else:
            engine.make_table()


def count(url):
    with closing(open_engine(url)) as engine:
        return engine.query("SELECT count(*) FROM otel_traces").rows[0][0]


def clew(*arguments):
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.output


@contextmanager
def received_by_clew(store, folder):
    """Run `clew collect` until the block ends; yield where it receives."""
    command = [sys.executable, "-m", "clew", "collect", "--port", "0", "--store", str(store)]
    program = Program(command, folder, os.environ)
    try:
        yield program.wait_for_output(r"Receiving at (http://\S+)/v1/traces")
    finally:
        program.stop()


def assert_same(expected, url):
    """Assert that the views are the same, and what is asked of all sessions."""
    with open_engine_store(url, processes=1) as found:
        found.catch_up()
        each = islice(compared(expected, found, splits=True), len(VIEWS) + len(QUESTIONS))
        lines = [line for it in each for line in it.lines]
        assert not lines, "\n".join(lines[:20])


def test_from_an_application_to_the_answers(clickhouse, tmp_path):
    """What is in ClickHouse is what `clew collect` got, from a second collector."""
    make_table(clickhouse)
    store = tmp_path / "collected.db"
    with (
        received_by_clew(store, tmp_path) as address,
        rotel.running(tmp_path, "clickhouse", **settings(clickhouse)) as collector,
        rotel.running(tmp_path, "otlp", endpoint=address, protocol="http") as other,
    ):
        run_command(
            [sys.executable, "-c", BOTH, str(EXAMPLE), other.url],
            cwd=tmp_path,
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url},
        )
        collector.end()
        other.end()
    received = count(clickhouse)
    with sessions.open(store) as expected:
        ((spans, owned),) = [
            tuple(it.values())
            for it in expected.rows("SELECT count(*), count(session_id) FROM spans")
        ]
        assert spans == owned == received > 10
        assert_same(expected, clickhouse)
    listed = [
        json.loads(clew("sessions", "--json", "--store", it)) for it in (clickhouse, str(store))
    ]
    assert listed[0] == listed[1]
    assert [(it["id"], it["user_id"]) for it in listed[0]] == [("chat-42", "ada")]


def odd():
    """A turn with values that collectors write in other ways than the application had them."""
    *first, last = turn(number=99)
    attributes = {
        **last.attributes,
        "tag.tags": ("red", "12", '<"&\\é自'),
        "llm.cost.total": 1e-7,
        "llm.is_streaming": True,
        "gen_ai.response.finish_reasons": ("stop",),
        "embedding.embeddings.0.embedding.vector": (0.25, -1.0, 3e-8, 1e21),
        "gen_ai.input.messages": ({"role": "user", "parts": ({"type": "text", "content": "é"},)},),
        "input.value": '{"values":[{"stringValue":"said"}]}',
    }
    return [*first, replace(last, attributes=attributes)]


@pytest.mark.parametrize(("form", "compression"), [("map", "lz4"), ("json", "none")])
def test_a_store_through_the_collector_has_the_same_answers(
    form, compression, clickhouse, tmp_path
):
    first, late = generated_store(3, sessions=5)
    spans = {(it.trace_id, it.span_id): it for it in (*first, *late, *odd())}
    with closing(connect(tmp_path / "sessions.db", create=True)) as connection:
        Writer(connection).add(spans.values())
    make_table(clickhouse, form)
    given = settings(clickhouse, compression=compression)
    if form == "json":
        given["enable_json"] = "true"
    with rotel.running(tmp_path, "clickhouse", **given) as collector:
        clew("export", "--to", "otlp", "--endpoint", collector.url)
        collector.end()
    assert count(clickhouse) == len(spans)
    with sessions.open() as expected:
        assert_same(expected, clickhouse)
    with closing(open_engine(clickhouse)) as engine:
        names = ", ".join(NAMES)
        rows = engine.query(f"SELECT {names} FROM ({engine.spans_sql(Window())})").rows
    for it in records_of(rows, has_types=False):
        assert_same_span(it, spans[it.trace_id, it.span_id])


def assert_same_span(found, known):
    """Assert that the span has come back, but for what such a table does not keep."""
    assert texts(found.attributes) == texts(known.attributes)
    assert texts(found.resource.attributes) == texts(known.resource.attributes)
    events, links = (
        [replace(it, attributes=texts(it.attributes)) for it in found.events],
        [(it.trace_id, it.span_id, texts(it.attributes)) for it in found.links],
    )
    assert events == [Event(it.name, it.time, texts(it.attributes)) for it in known.events]
    assert links == [(it.trace_id, it.span_id, texts(it.attributes)) for it in known.links]
    for name in ("name", "start", "end", "parent_id", "status", "status_message"):
        assert getattr(found, name) == getattr(known, name)
    # Rotel calls a consumer a client.
    assert found.kind == (3 if known.kind == 5 else known.kind)
    assert found.scope.name == known.scope.name
