"""Files that clew and others have written are read, and what in them is unusable is reported."""

import csv
import gzip
import json
import shutil
import subprocess
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from clew.store.formats import FormatError, read_spans
from clew.store.otlp import to_json
from clew.store.record import ERROR, Event, Scope, SpanRecord

EXPORTS = Path(__file__).parent / "exports"
SPAN = SpanRecord(bytes(range(16)), bytes(range(8)), None, "s", 1, 2, {"k": "v"})
OTHER = replace(SPAN, name="other")
LINES = [to_json([SPAN, OTHER]), to_json([OTHER])]


def read(path):
    unusable = []
    return list(read_spans(path, unusable.append)), [str(it) for it in unusable]


@pytest.fixture
def file(tmp_path):
    def write(content, name="spans.jsonl"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def test_lines_of_otlp_json_are_read(file):
    assert read(file(b"\n".join(LINES))) == ([SPAN, OTHER, OTHER], [])


def test_a_file_may_have_empty_lines_a_byte_order_mark_and_line_ends_of_windows(file):
    assert read(file(b"\xef\xbb\xbf\r\n" + b"\r\n\r\n".join(LINES))) == ([SPAN, OTHER, OTHER], [])
    assert read(file(b"\xef\xbb\xbf" + LINES[1])) == ([OTHER], [])


@pytest.mark.parametrize("indent", [None, 2])
def test_one_document_of_several_lines_is_read(file, indent):
    requests = [json.loads(line) for line in LINES]
    assert read(file(json.dumps(requests, indent=indent).encode()))[0] == [SPAN, OTHER, OTHER]
    assert read(file(json.dumps(requests[1], indent=indent).encode()))[0] == [OTHER]


def test_a_compressed_file_is_read(file):
    assert read(file(gzip.compress(b"\n".join(LINES)))) == ([SPAN, OTHER, OTHER], [])


def test_an_empty_file_has_no_spans(file):
    assert read(file(b"")) == read(file(b"\n \n")) == ([], [])


def test_a_line_that_cannot_be_used_is_reported_and_the_rest_is_read(file):
    broken = replace(SPAN, trace_id=bytes(16), name="broken")
    path = file(
        b"\n".join(
            [
                LINES[0],
                LINES[1][:50],
                b"",
                b"[]",
                b'{"resourceMetrics": []}',
                b'{"resourceLogs": []}',
                b'{"other": 1}',
                b'{"resourceSpans": 1}',
                to_json([broken, OTHER]),
                b"\xff",
            ]
        )
    )
    records, unusable = read(path)
    assert records == [SPAN, OTHER, OTHER]
    said = [it.removeprefix(f"{path}:").partition(": ") for it in unusable]
    assert [int(line) for line, *_ in said] == [2, 4, 5, 6, 7, 8, 9, 10]
    assert [reason for *_, reason in said][1:-1] == [
        "a list instead of an object",
        "metrics of OpenTelemetry, no spans",
        "logs of OpenTelemetry, no spans",
        "neither OTLP/JSON, nor a span of Phoenix, nor an observation of Langfuse",
        "not OTLP/JSON: resourceSpans is 1 instead of an array",
        "the span 'broken': its trace id is all zeros",
    ]
    assert said[0][2].startswith("not JSON: ")


def test_a_large_file_is_not_read_at_once(file):
    """The first spans are there before the end of the file is looked at."""
    path = file(gzip.compress(b"\n".join(LINES * 20_000))[:-2000])
    assert list(islice(read_spans(path, pytest.fail), 3)) == [SPAN, OTHER, OTHER]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x28\xb5\x2f\xfd....", "compressed with zstd"),
        (b"\x0a\x0fprotobuf", "no known format.*format: json"),
        (b"name,age\n", "no known format"),
        (b"[1, 2", "not JSON"),
        (b"{\n 1", "not JSON"),
        (gzip.compress(LINES[0], mtime=0)[:-9], "cannot be read"),
        (gzip.compress(LINES[0], mtime=0)[:12] + b"\xff" * 30, "cannot be read"),
        (b"PAR1....", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(file, content, message):
    if content.startswith(b"PAR1"):
        pytest.importorskip("pyarrow")
    with pytest.raises(FormatError, match=f"spans.jsonl .*{message}"):
        read(file(content))


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(FormatError, match="No such file"):
        read(tmp_path / "none.jsonl")


def test_parquet_without_pyarrow_says_what_to_install(file, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(FormatError, match="python -m pip install pyarrow"):
        read(file(b"PAR1"))


def test_what_zstd_writes_is_recognised(file):
    zstd = shutil.which("zstd")
    if zstd is None:
        pytest.skip("zstd is not installed")
    packed = subprocess.run([zstd, "-c"], input=LINES[0], capture_output=True, check=True)
    with pytest.raises(FormatError, match="decompress it first: zstd -d"):
        read(file(packed.stdout))


TRACE = bytes.fromhex("719f0734be70a6e45e90ec180f521cee")
PHOENIX = {
    "phoenix-get_spans.json": (1795870681851422000, 1795870681854014000),
    "phoenix-dataframe.jsonl": (1795870681851000000, 1795870681854000000),
    "phoenix-dataframe-iso.jsonl": (1795870681851000000, 1795870681854000000),
    "phoenix-dataframe.parquet": (1795870681851422000, 1795870681854014000),
}


@pytest.mark.parametrize(("name", "times"), PHOENIX.items(), ids=PHOENIX)
def test_what_phoenix_exports_is_what_it_was_sent(name, times):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    records, unusable = read(EXPORTS / name)
    assert unusable == []
    chain, call = sorted(records, key=lambda it: it.parent_id or b"")
    assert (chain.name, call.name) == ("chain", "ChatCompletion")
    assert chain.trace_id == call.trace_id == TRACE
    assert (chain.parent_id, call.parent_id) == (None, chain.span_id)
    assert call.span_id.hex() == "7b0cd75ddc42695b"
    assert (call.start, call.end) == times
    assert (chain.status, call.status, call.status_message) == (0, ERROR, "bad")
    assert [it.name for it in call.events] == ["first token", "exception"]
    assert call.events[0] == Event("first token", 1795870681851450000, {"n": 1})
    assert chain.events == ()
    assert json.loads(chain.attributes.pop("metadata")) == {"a": 1, "b": {"c": [1, 2]}}
    assert chain.attributes == {
        "openinference.span.kind": "CHAIN",
        "session.id": "s-1",
        "user.id": "ada",
        "input.value": "hi",
        "output.value": "ho",
        "tag.tags": ("x", "y"),
    }
    tool_call = "llm.input_messages.1.message.tool_calls.0.tool_call.function"
    expected = {
        "openinference.span.kind": "LLM",
        "session.id": "s-1",
        "user.id": "ada",
        "llm.model_name": "gpt-4o",
        "llm.provider": "openai",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "hi",
        "llm.input_messages.1.message.role": "assistant",
        f"{tool_call}.name": "f",
        f"{tool_call}.arguments": "{}",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "ho",
        "llm.token_count.prompt": 10,
        "llm.token_count.completion": 5,
        "llm.token_count.total": 15,
        "llm.token_count.prompt_details.cache_read": 3,
        "llm.invocation_parameters": '{"temperature": 0}',
        "llm.tools.0.tool.json_schema": '{"a": 1}',
        "input.value": "{}",
        "input.mime_type": "application/json",
        "list.of.ints": (1, 2, 3),
        "flag": True,
        "score": 0.5,
        # Phoenix numbers anew what was numbered with a gap.
        "odd.0.x": 1,
        "odd.1.x": 2,
    }
    assert sorted(map(repr, call.attributes.items())) == sorted(map(repr, expected.items()))


def test_a_span_of_phoenix_without_a_usable_id_is_reported(file):
    row = {"context.span_id": "zz", "context.trace_id": TRACE.hex(), "start_time": 1}
    assert read(file(json.dumps(row).encode()))[1][0].endswith(
        "1: the span id is no id of 8 bytes in hexadecimal"
    )
    row = {"context": {"span_id": "1" * 16, "trace_id": TRACE.hex()}, "span_kind": "LLM"}
    assert read(file(json.dumps(row).encode()))[1][0].endswith("1: start_time is no time")


# A row as the reference of Langfuse's export describes it.
OBSERVATION = {
    "id": "7b0cd75ddc42695b",
    "trace_id": TRACE.hex(),
    "project_id": "p",
    "environment": "default",
    "type": "GENERATION",
    "parent_observation_id": "b3c465c94272e55e",
    "start_time": "2024-05-29 13:46:19.963000",
    "end_time": "2024-05-29 13:46:20.963001",
    "name": "answer",
    "metadata": {"shop": "bicycles"},
    "level": "ERROR",
    "status_message": "cut off",
    "version": "",
    "input": '[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}]',
    "output": '{"role":"assistant","content":"Hello","tool_calls":[{"id":"c1","type":"function",'
    '"function":{"name":"look","arguments":"{}"}}]}',
    "provided_model_name": "gpt-4o",
    "model_parameters": '{"temperature":0.7}',
    "usage_details": {"input": 7, "input_cached_tokens": 3, "output": 5, "total": 15},
    "cost_details": {"input": 0.25, "output": 0.5},
    "completion_start_time": "2024-05-29 13:46:20.000000",
    "total_cost": 0.75,
    "latency": 1.0,
    "time_to_first_token": None,
    "tool_calls": [],
    "tool_definitions": {},
    "user_id": "ada",
    "session_id": "chat-42",
    "trace_name": "help",
    "tags": ["a", "b"],
    "release": "",
    "bookmarked": False,
    "public": False,
}
READ = SpanRecord(
    trace_id=TRACE,
    span_id=bytes.fromhex("7b0cd75ddc42695b"),
    parent_id=bytes.fromhex("b3c465c94272e55e"),
    name="answer",
    start=1716990379963000000,
    end=1716990380963001000,
    kind=0,
    status=ERROR,
    status_message="cut off",
    events=(Event("First Token Stream Event", 1716990380000000000, {}),),
    scope=Scope("langfuse"),
    attributes={
        "openinference.span.kind": "LLM",
        "langfuse.observation.id": "7b0cd75ddc42695b",
        "langfuse.trace.id": TRACE.hex(),
        "session.id": "chat-42",
        "user.id": "ada",
        "llm.model_name": "gpt-4o",
        "llm.invocation_parameters": '{"temperature":0.7}',
        "langfuse.trace.name": "help",
        "langfuse.environment": "default",
        "metadata": '{"shop": "bicycles"}',
        "tag.tags": ("a", "b"),
        "langfuse.observation.level": "ERROR",
        "input.value": OBSERVATION["input"],
        "input.mime_type": "application/json",
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "Be kind.",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.content": "Hi",
        "output.value": OBSERVATION["output"],
        "output.mime_type": "application/json",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "Hello",
        "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "look",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": "{}",
        "llm.token_count.prompt": 10,
        "llm.token_count.completion": 5,
        "llm.token_count.total": 15,
        "llm.token_count.prompt_details.cache_read": 3,
        "llm.cost.prompt": 0.25,
        "llm.cost.completion": 0.5,
        "llm.cost.total": 0.75,
    },
)


def as_csv(row, path):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(row)
        cells = [
            json.dumps(it) if isinstance(it, dict | list | bool) else "" if it is None else it
            for it in row.values()
        ]
        writer.writerow(cells)
        writer.writerow(["too", "few"])


def test_langfuses_observations_are_read_from_json_lines(file):
    assert read(file(json.dumps(OBSERVATION).encode())) == ([READ], [])


def test_langfuses_observations_are_read_from_csv(tmp_path):
    path = tmp_path / "observations.csv"
    as_csv(OBSERVATION | {"status_message": 'cut\noff, "here"'}, path)
    records, unusable = read(path)
    assert records == [replace(READ, status_message='cut\noff, "here"')]
    assert unusable == [f"{path}:4: 2 cells instead of {len(OBSERVATION)}"]


def test_langfuses_observations_are_read_from_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from datetime import datetime

    from pyarrow import parquet

    row = OBSERVATION | {
        name: datetime.fromisoformat(OBSERVATION[name])
        for name in ("start_time", "end_time", "completion_start_time")
    }
    del row["tool_definitions"]  # Parquet has no empty structures.
    counts = pa.array([list(row["usage_details"].items())], pa.map_(pa.string(), pa.int64()))
    table = pa.Table.from_pylist([row])
    at = table.schema.get_field_index("usage_details")
    parquet.write_table(table.set_column(at, "usage_details", counts), tmp_path / "o.parquet")
    assert read(tmp_path / "o.parquet") == ([READ], [])


def test_what_langfuses_api_calls_the_same_fields_is_read(file):
    row = {
        "id": OBSERVATION["id"],
        "traceId": OBSERVATION["trace_id"],
        "parentObservationId": OBSERVATION["parent_observation_id"],
        "type": "TOOL",
        "startTime": "2024-05-29T13:46:19.963Z",
        "endTime": None,
        "model": "m",
        "usageDetails": {"input": 10, "input_cached_tokens": 3, "output": 5, "total": 15},
        "sessionId": "chat-42",
        "input": {"a": 1},
        "output": "plain",
    }
    (record,), unusable = read(file(json.dumps(row).encode()))
    assert unusable == []
    assert (record.start, record.end, record.parent_id) == (READ.start, READ.start, READ.parent_id)
    assert record.attributes["openinference.span.kind"] == "TOOL"
    assert record.attributes["session.id"] == "chat-42"
    assert record.attributes["llm.model_name"] == "m"
    assert record.attributes["input.value"] == '{"a": 1}'
    assert record.attributes["output.mime_type"] == "text/plain"
    assert record.attributes["llm.token_count.prompt"] == 10


def test_plain_texts_of_a_generation_are_the_users_and_the_assistants(file):
    row = OBSERVATION | {"input": "Hi", "output": "Hello"}
    (record,), _ = read(file(json.dumps(row).encode()))
    said = [record.attributes[f"llm.{it}_messages.0.message.role"] for it in ("input", "output")]
    assert said == ["user", "assistant"]


def test_ids_that_older_sdks_of_langfuse_made_lead_to_the_same_spans(file):
    trace = "0b0cd75d-dc42-695b-9b0c-d75ddc42695b"
    rows = [
        OBSERVATION | {"trace_id": trace, "id": "the-parent", "parent_observation_id": ""},
        OBSERVATION | {"trace_id": trace, "id": "child", "parent_observation_id": "the-parent"},
        OBSERVATION | {"trace_id": "my trace", "id": "other", "parent_observation_id": None},
        OBSERVATION | {"id": ""},
    ]
    (parent, child, other), unusable = read(file("\n".join(map(json.dumps, rows)).encode()))
    assert parent.trace_id == child.trace_id == bytes.fromhex(trace.replace("-", ""))
    assert (parent.parent_id, child.parent_id) == (None, parent.span_id)
    assert len(other.trace_id) == 16
    assert other.attributes["langfuse.trace.id"] == "my trace"
    assert [it.rpartition(": ")[2] for it in unusable] == ["it has no id"]


def test_scores_of_langfuse_are_reported(file):
    score = {"id": "1", "trace_id": "2", "name": "helpful", "value": 1}
    assert read(file(json.dumps(score).encode()))[1][0].endswith("nor an observation of Langfuse")
