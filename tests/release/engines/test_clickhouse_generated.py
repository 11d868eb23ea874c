"""Generated spans: their columns in ClickHouse are those that the SQLite store would fill."""

from contextlib import closing

import pytest

pytest.importorskip("chdb", reason="chdb is not installed")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.sessions.engines.clickhouse_engine import open_engine
from clew.sessions.engines.engine import Window
from clew.sessions.engines.records import NAMES, records_of
from clew.sessions.words import turns_of
from clew.store.columns import COLUMNS, split
from tests.release.engines.clickhouse_support import skip
from tests.support.collector_tables import FORMS, row_in
from tests.support.traces import by_trace
from tests.unit.sessions.conversations import records

pytestmark = skip
FILLED = ["kind" if it.name == "openinference_kind" else it.name for it in COLUMNS]


@pytest.fixture(params=FORMS)
def form(request, tmp_path):
    with closing(open_engine(f"chdb:{tmp_path}")) as engine:
        engine.execute(FORMS[request.param])
        yield request.param, engine


@settings(
    max_examples=25,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(records(), max_size=12, unique_by=lambda it: (it.trace_id, it.span_id)))
def test_columns_and_turns(form, spans):
    name, engine = form
    engine.execute("TRUNCATE TABLE otel_traces")
    engine.insert_spans([row_in(name, it) for it in spans])
    view = engine.spans_sql(Window())
    rows = engine.query(f"SELECT trace_id, span_id, {', '.join(FILLED)} FROM ({view})").rows
    found = {tuple(row[:2]): list(row[2:]) for row in rows}
    assert found == {(it.trace_id.hex(), it.span_id.hex()): split(it.attributes)[0] for it in spans}
    back = engine.query(f"SELECT {', '.join(NAMES)} FROM ({view})").rows
    assert turns(records_of(back, has_types=False)) == turns(spans)
    day = engine.spans_sql(Window(2 * 10**9, 4 * 10**9))
    inside = {it.hex() for it in _inside(spans)}
    assert {row[1] for row in engine.query(day).rows} == inside


def _inside(spans):
    return {it.span_id for it in spans if 2 * 10**9 <= it.start < 4 * 10**9}


def turns(spans):
    """Return the turns of each trace; where spans begin together, in the order of their ids."""
    ordered = sorted(spans, key=lambda it: (it.trace_id, it.start, it.span_id))
    return {trace[0].trace_id: turns_of(trace) for trace in by_trace(ordered)}
