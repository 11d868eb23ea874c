"""Whatever is in a file that is imported, its lines are used or reported, and no error escapes."""

import csv
import gzip
import io
import json
import zlib
from contextlib import closing, suppress
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.formats import FormatError, parquet, read_spans, rows
from clew.store.otlp import to_json, to_protobuf
from clew.store.writer import Writer
from tests.support.conversation_spans import turn
from tests.unit.hostile.inputs import changes, damage, nested

PHOENIX = {
    "context.span_id": "0102030405060708",
    "context.trace_id": "0102030405060708090a0b0c0d0e0f10",
    "parent_id": None,
    "name": "chat",
    "start_time": "2026-01-01T00:00:00Z",
    "end_time": 1_780_000_000_000,
    "span_kind": "LLM",
    "status_code": "OK",
    "events": [{"name": "e", "timestamp": "2026-01-01T00:00:00Z", "attributes": {"a": 1}}],
    "attributes.llm": {
        "token_count": {"prompt": 3.0},
        "input_messages": [{"message": {"role": "user", "content": "Hello?"}}],
    },
    "attributes.metadata": {"release": 1},
}
FLAT = {
    "context": {"span_id": "01" * 8, "trace_id": "02" * 16},
    "span_kind": "LLM",
    "start_time": "2026-01-01T00:00:00Z",
    "attributes": {"metadata.a.b": 1, "metadata.a": 2, "session.id": "chat-42"},
}
LANGFUSE = {
    "id": "7b0cd75ddc42695b",
    "trace_id": "719f0734be70a6e45e90ec180f521cee",
    "type": "GENERATION",
    "start_time": "2026-01-01T00:00:00Z",
    "end_time": "2026-01-01T00:00:01Z",
    "level": "DEFAULT",
    "session_id": "chat-42",
    "input": {"messages": [{"role": "user", "content": "Hello?", "tool_calls": [{"id": "a"}]}]},
    "output": "Hallo!",
    "tags": ["a"],
    "usage_details": {"input": 3, "output": 4, "total": 7},
    "cost_details": {"input": 0.1},
    "total_cost": 0.2,
}
ROWS = [PHOENIX, FLAT, LANGFUSE, json.loads(to_json(turn()))]


def as_csv(row):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(row)
    writer.writerow(json.dumps(it) if isinstance(it, dict | list) else it for it in row.values())
    return text.getvalue().encode()


def as_parquet(row):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist([row]), file, compression="none")
    return file.getvalue()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A file to write to, and a store that gets all spans of this module."""
    folder = tmp_path_factory.mktemp("hostile")
    with closing(connect(folder / "sessions.db", create=True)) as connection:
        yield folder / "file", Writer(connection), folder / "sessions.db"


def imported(kept, content):
    """Import *content*, and read all that was ever imported."""
    file, writer, path = kept
    file.write_bytes(content)
    reported = []
    with suppress(FormatError):
        writer.add(list(read_spans(file, reported.append)))
    assert all(str(it.reason) for it in reported)
    with SessionStore(path) as store:
        for session in store.list(limit=100_000):
            assert all(isinstance(it.input.text, str) for it in session.turns)
    return reported


@settings(max_examples=150)
@given(changes(ROWS), st.sampled_from(["lines", "array", "gzip"]))
def test_json_that_was_changed(kept, row, form):
    text = json.dumps([row, row] if form == "array" else row).encode()
    imported(kept, gzip.compress(text) if form == "gzip" else text + b"\n" + text)


@settings(max_examples=80)
@given(damage([as_csv(LANGFUSE), json.dumps(LANGFUSE).encode(), gzip.compress(b"{}\n" * 50)]))
def test_bytes_that_were_changed(kept, content):
    imported(kept, content)


@settings(max_examples=80)
@given(st.data())
def test_parquet_that_was_changed(kept, data):
    tables = [as_parquet(LANGFUSE | {"tags": "[]"}), as_parquet({**FLAT, "attributes": {"a": 1}})]
    imported(kept, data.draw(damage(tables)))


@pytest.mark.parametrize(
    ("row", "where", "value"),
    [
        (LANGFUSE, "total_cost", 10**400),
        (LANGFUSE, "usage_details", {"input": "nan", "output": float("inf"), "total": 10**400}),
        (LANGFUSE, "level", {"a": 1}),
        (LANGFUSE, "level", ["DEFAULT"]),
        (PHOENIX, "end_time", 10**400),
        (PHOENIX, "end_time", float("inf")),
        (PHOENIX, "attributes.deep", nested(900)),
        (PHOENIX, "attributes.deep", nested(60)),
        (FLAT, "attributes", {"deep": nested(60)}),
        (LANGFUSE, "tags", nested(60)),
        (LANGFUSE, "input", nested(900)),
    ],
    ids=range(11),
)
def test_what_was_an_error_is_used_or_reported(kept, row, where, value):
    reported = imported(kept, json.dumps({**row, where: value}).encode())
    assert [it.line for it in reported] in ([], [1])


def test_what_is_imported_can_be_exported(kept):
    """Deeper values could not be sent on: OTLP's readers refuse them."""
    file, _, _ = kept
    file.write_text(json.dumps({**FLAT, "attributes": {"deep": nested(40)}}))
    (record,) = read_spans(file, print)
    assert to_protobuf([record])
    file.write_text(json.dumps({**FLAT, "attributes": {"deep": nested(60)}}))
    reported = []
    assert list(read_spans(file, reported.append)) == []
    assert reported[0].reason == "its values are nested too deeply"


def test_texts_of_parquet_that_are_no_utf8(kept):
    content = as_parquet({**LANGFUSE, "input": "Hello?", "tags": "[]"})
    assert b"Hello?" in content
    imported(kept, content.replace(b"Hello?", b"\xff\xfello?"))
    file, _, _ = kept
    with pytest.raises(FormatError, match="cannot be read"):
        list(read_spans(file, print))


def bomb(start, megabytes, end=b""):
    """Return a small file that becomes so many megabytes."""
    packer = zlib.compressobj(1, wbits=31)
    pieces = [packer.compress(start)]
    pieces += [packer.compress(b" " * 2**20) for _ in range(megabytes)]
    return b"".join([*pieces, packer.compress(end), packer.flush()])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bomb(b'{"a":', 8, b"1}"), "has a line of more than"),
        (bomb(b"[\n1,", 8, b"2]"), "one JSON document of more than"),
        (bomb(b"trace_id,id\n1,", 8), "has a line of more than"),
        (bomb(b"", 8), "has a line of more than"),
    ],
)
def test_a_small_file_that_becomes_a_large_one_is_refused(kept, monkeypatch, content, said):
    monkeypatch.setattr(rows, "MOST_OF_A_LINE", 2**20)
    monkeypatch.setattr(rows, "MOST_OF_A_DOCUMENT", 2**21)
    assert len(content) < 2**17
    file, _, _ = kept
    file.write_bytes(content)
    with pytest.raises(FormatError, match=said):
        list(read_spans(file, print))


def parquet_with(text, number):
    """Return a file with so many rows that have the same *text*, which it contains once."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    same = pa.DictionaryArray.from_arrays(pa.array([0] * number, "int32"), [text])
    ids = [f"{at:032x}" for at in range(number)]
    columns = {"id": [it[16:] for it in ids], "trace_id": ids, "name": ids, "input": same}
    columns |= {"type": ["SPAN"] * number, "start_time": ["2026-01-01T00:00:00Z"] * number}
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file, store_schema=False)
    return file.getvalue()


def test_a_text_that_parquet_repeats_is_in_memory_once(kept):
    file, _, _ = kept
    file.write_bytes(parquet_with("a" * 2**20, 1000))
    assert file.stat().st_size < 2**20
    pyarrow = pytest.importorskip("pyarrow")
    pool = pyarrow.proxy_memory_pool(pyarrow.default_memory_pool())
    before = pyarrow.default_memory_pool()
    pyarrow.set_memory_pool(pool)
    try:
        found = list(islice(read_spans(file, print), 3))
    finally:
        pyarrow.set_memory_pool(before)
    assert [len(it.attributes["input.value"]) for it in found] == [2**20] * 3
    assert pool.max_memory() < 2**26  # It would be a GB.


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("MOST_OF_A_GROUP", r"file has a row group of [\d,]+ bytes, .* at most 4,096 are read"),
        ("MOST_OF_ROWS", r"file has a row of 10,\d{3} bytes, and one has at most 4,096"),
    ],
)
def test_parquet_that_becomes_too_large_is_refused(kept, monkeypatch, limit, said):
    monkeypatch.setattr(parquet, limit, 2**12)
    file, _, _ = kept
    file.write_bytes(parquet_with("a" * 10_000, 2))
    with pytest.raises(FormatError, match=said):
        list(read_spans(file, print))
