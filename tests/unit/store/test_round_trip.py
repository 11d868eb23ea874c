"""What is written to the store is read from it unchanged."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.store.database import connect
from clew.store.reader import spans_after, spans_of_trace
from clew.store.record import SpanRecord
from clew.store.writer import Writer
from tests.unit.store import spans


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(spans.records, max_size=4))
def test_every_span_comes_back_unchanged(tmp_path_factory, records):
    connection = connect(tmp_path_factory.mktemp("store") / "spans.db", create=True)
    try:
        Writer(connection).add(records)
        first = {(record.trace_id, record.span_id): record for record in reversed(records)}
        for record in first.values():
            assert record in spans_of_trace(connection, record.trace_id)
        assert len(spans_after(connection)) == len(first)
    finally:
        connection.close()


def test_types_of_values_are_kept(store):
    given_attributes = {
        "int": 1,
        "float": 1.0,
        "bool": True,
        "nan": math.nan,
        "infinities": (math.inf, -math.inf),
        "mixed": (1, 1.0, True, "1", b"1", None),
        "a tag that is no tag": {"bytes": "aGk="},
        "llm.token_count.prompt": True,
        "llm.token_count.total": 2**63,
        "llm.cost.total": 1,
    }
    Writer(store).add([SpanRecord(b"t" * 16, b"s" * 8, None, "a span", 1, 2, given_attributes)])
    (read,) = spans_of_trace(store, b"t" * 16)
    found = dict(read.attributes)
    assert math.isnan(found.pop("nan"))
    del given_attributes["nan"]
    assert found == given_attributes
    assert [type(value) for value in found.values()] == [
        type(given_attributes[key]) for key in found
    ]
    assert [type(value) for value in found["mixed"]] == [int, float, bool, str, bytes, type(None)]


def test_a_span_is_stored_once(store):
    record = SpanRecord(b"t" * 16, b"s" * 8, None, "first", 1, 2, {})
    writer = Writer(store)
    assert writer.add([record, record]) == 1
    assert writer.add([replace(record, name="again")]) == 0
    assert [span.name for span in spans_of_trace(store, b"t" * 16)] == ["first"]


def test_a_time_beyond_64_bits_is_the_latest_one(store):
    record = SpanRecord(b"t" * 16, b"s" * 8, None, "a span", 2**63, 2**63 + 5, {})
    Writer(store).add([record])
    # As earlier versions wrote it.
    store.execute("UPDATE span SET details = ?", ('{"times": [9223372036854775808, 1]}',))
    (read,) = spans_of_trace(store, b"t" * 16)
    assert read == replace(record, start=2**63 - 1, end=2**63 - 1)
