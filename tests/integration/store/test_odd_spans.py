"""Spans with values that the SDK takes and nobody expects are stored, and so are the others."""

import sqlite3
from datetime import UTC, datetime

import pytest
from opentelemetry.sdk.trace import TracerProvider

from clew.core import containment
from clew.export.delivery_processor import Delivery
from clew.export.store_exporter import StoreExporter
from clew.store import sdk


def with_event(tracer):
    span = tracer.start_span("odd")
    span.add_event("said", timestamp=datetime.now(UTC))
    span.end()


ODD = {
    "event": with_event,
    "integer": lambda tracer: tracer.start_span("odd", attributes={"n": 10**5000}).end(),
    "start": lambda tracer: tracer.start_span("odd", start_time=datetime.now(UTC)).end(),
    "nan": lambda tracer: tracer.start_span("odd", start_time=float("nan")).end(),
    "early": lambda tracer: tracer.start_span("odd", start_time=-(2**70)).end(),
    "end": lambda tracer: tracer.start_span("odd").end("now"),
    "no kind": lambda tracer: tracer.start_span("odd", kind=None).end(),
    "kind": lambda tracer: tracer.start_span("odd", kind="client").end(),
}


@pytest.fixture
def telemetry(tmp_path):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(delivery := Delivery([StoreExporter(tmp_path / "store.db")]))
    yield provider.get_tracer("careless"), delivery
    provider.shutdown()


def names(path):
    connection = sqlite3.connect(path)
    try:
        return [name for (name,) in connection.execute("SELECT name FROM span ORDER BY id")]
    finally:
        connection.close()


@pytest.mark.parametrize("odd", ODD)
def test_all_spans_are_stored(telemetry, tmp_path, odd):
    tracer, delivery = telemetry
    tracer.start_span("before").end()
    ODD[odd](tracer)
    tracer.start_span("after").end()
    assert delivery.force_flush()
    assert names(tmp_path / "store.db") == ["before", "odd", "after"]


def test_a_span_that_cannot_be_stored_is_counted_and_leaves_out_no_other(
    telemetry, tmp_path, monkeypatch
):
    def fail_for_odd(span):
        return 1 // (span.name != "odd") and record_of(span)

    record_of = sdk.record_of
    monkeypatch.setattr(sdk, "record_of", fail_for_odd)
    monkeypatch.setattr(containment, "reraise", False)
    tracer, delivery = telemetry
    for name in ("before", "odd", "after"):
        tracer.start_span(name).end()
    assert not delivery.force_flush()
    assert names(tmp_path / "store.db") == ["before", "after"]
    tracer.start_span("later").end()
    assert delivery.force_flush()
    assert names(tmp_path / "store.db") == ["before", "after", "later"]
    (queue,) = delivery._queues
    assert queue.counted() == (3, 0, {"export failed": 1})
