"""A store moves into ClickHouse: everything, nothing twice, and it goes on where it stopped."""

import json
from contextlib import closing

import pytest
from click.testing import CliRunner

pytest.importorskip("chdb", reason="chdb is not installed")

from clew import sessions
from clew.cli.export import command
from clew.sessions.engines.clickhouse_engine import open_engine
from clew.sessions.engines.engine import Window
from clew.sessions.engines.records import NAMES, records_of
from clew.sessions.words import turns_of
from clew.store.database import connect
from clew.store.writer import Writer
from tests.release.engines.clickhouse_support import WAYS, fill_at, place, skip
from tests.support.collector_tables import FORMS
from tests.support.conversations import Conversations
from tests.support.far_times import far_spans
from tests.support.traces import by_trace

pytestmark = skip


@pytest.fixture
def store(tmp_path):
    """Return the path of a store, and the spans in it."""
    path = tmp_path / "spans.db"
    spans = [span for made in Conversations(seed=8).sessions(12) for span in made]
    connection = connect(path, create=True)
    Writer(connection).add(spans)
    connection.close()
    return path, spans


def export(path, url, *more):
    arguments = ["--to", "clickhouse", url, "--store", str(path), "--json", *more]
    result = CliRunner().invoke(command, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return json.loads(result.stdout)


def in_clickhouse(url):
    with closing(open_engine(url)) as engine:
        count = engine.query("SELECT count(*) FROM otel_traces").rows[0][0]
        sql = f"SELECT {', '.join(NAMES)} FROM ({engine.spans_sql(Window())})"
        return count, list(records_of(engine.query(sql).rows, has_types=False))


def turns(spans):
    return {trace[0].trace_id: turns_of(trace) for trace in by_trace(spans)}


@pytest.mark.parametrize("way", WAYS)
def test_a_store_is_exported_once(way, store, tmp_path):
    path, spans = store
    with place(way, tmp_path / "clickhouse") as url:
        result = export(path, url)
        assert (result["exported"], result["already"], result["error"]) == (len(spans), 0, "")
        assert "s3cret" not in json.dumps(result)
        count, found = in_clickhouse(url)
        assert count == len(spans)
        assert turns(found) == turns(spans)
        again = export(path, url)
        assert (again["exported"], again["already"]) == (0, len(spans))
        (tmp_path / "spans.db-exported").unlink()  # It is no longer known what was exported.
        again = export(path, url)
        assert (again["exported"], again["already"]) == (0, len(spans))
        assert in_clickhouse(url)[0] == len(spans)


@pytest.mark.parametrize("form", FORMS)
def test_it_is_added_to_what_the_collector_has_stored(form, store, tmp_path):
    path, spans = store
    url = f"chdb:{tmp_path / 'clickhouse'}"
    fill_at(url, spans[:40], form)
    result = export(path, url)
    assert (result["exported"], result["already"]) == (len(spans) - 40, 40)
    count, found = in_clickhouse(url)
    assert count == len(spans)
    assert turns(found) == turns(spans)


def test_an_interrupted_export_goes_on(store, tmp_path, monkeypatch):
    path, spans = store
    url = f"chdb:{tmp_path / 'clickhouse'}"
    monkeypatch.setattr("clew.cli.export.runs._PER_BATCH", 20)
    monkeypatch.setattr("clew.cli.export.runs._PER_INSERT", 20)
    from clew.cli.export.delivered import Delivered

    noted = []
    add = Delivered.add

    def killed(self, ids, size=0):
        if len(noted) == 2:
            raise KeyboardInterrupt  # After it was inserted, and before that was noted.
        noted.append(ids)
        add(self, ids, size)

    with monkeypatch.context() as patch:
        patch.setattr(Delivered, "add", killed)
        with pytest.raises((KeyboardInterrupt, AssertionError, json.JSONDecodeError)):
            export(path, url)
    assert in_clickhouse(url)[0] == 60
    result = export(path, url)
    assert (result["exported"], result["already"]) == (len(spans) - 60, 60)
    assert in_clickhouse(url)[0] == len(spans)


def test_some_sessions_and_a_session_that_grows(store, tmp_path):
    path, spans = store
    url = f"chdb:{tmp_path / 'clickhouse'}"
    session = spans[0].attributes["session.id"]
    mine = [it for it in spans if it.attributes.get("session.id") == session]
    assert export(path, url, "--session", session)["exported"] == len(mine)
    result = export(path, url)
    assert (result["exported"], result["already"]) == (len(spans) - len(mine), len(mine))


def test_what_cannot_be_exported_to(store):
    path, _ = store
    for arguments, said in (
        (["--to", "clickhouse"], "needs a URL"),
        (["--to", "clickhouse", "somewhere"], "needs a URL"),
        (["--to", "jsonl", "clickhouse://host/otel"], "needs a file, and no URL"),
    ):
        result = CliRunner().invoke(command, [*arguments, "--store", str(path)])
        assert result.exit_code == 2
        assert said in result.output


@pytest.mark.parametrize("way", WAYS)
def test_spans_of_the_first_and_the_last_times_are_exported(way, tmp_path, monkeypatch):
    path, spans = tmp_path / "spans.db", far_spans()
    monkeypatch.setenv("CLEW_STORE", str(path))  # Beside it, the copy is made.
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(spans)
    with place(way, tmp_path / "clickhouse") as url:
        result = export(path, url)
        assert (result["exported"], result["error"]) == (len(spans), "")
        _, found = in_clickhouse(url)
        # Of the times before 1678, chdb rounds the first one.
        first = -(2**63) if way == "http" else -9_223_372_036 * 10**9
        assert {(it.span_id, it.trace_id, it.start) for it in found} == {
            (it.span_id, it.trace_id, max(first, it.start)) for it in spans
        }
        with sessions.open(path) as store, sessions.open(url) as there:
            assert {it.id for it in there.list()} == {it.id for it in store.list()}
        done = CliRunner().invoke(command, ["--store", url, "--to", "jsonl", "-"])
        assert done.stdout.count('"spanId"') == len(spans)
