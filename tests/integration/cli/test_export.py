"""``clew export``: every span reaches its target, once, whatever happens on the way."""

import gzip
import json
import subprocess
import sys
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from clew.store.database import connect
from clew.store.otlp import from_json, from_protobuf
from clew.store.reader import spans_after
from clew.store.record import Resource, Scope
from tests.support.conversation_spans import turn

PER_BATCH = 512


class Target:
    """An OTLP endpoint that answers as it is told, and keeps what it answered with 200."""

    def __init__(self):
        self.answers, self.kept, self.requests = [], [], []
        self.stuck, self.go_on = Event(), Event()

    def answer(self, headers, path, body):
        self.requests.append((path, dict(headers), len(body)))
        said = self.answers.pop(0) if self.answers else (200, {}, b"")
        if said == "hang":
            self.stuck.set()
            self.go_on.wait(60)
            return None
        if callable(said):
            said = said(body)
        if said[0] == 200:
            self.kept += from_protobuf(gzip.decompress(body))
        return said


@pytest.fixture
def target():
    """A running endpoint."""
    target = Target()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            answered = target.answer(self.headers, self.path, body)
            if answered is None:
                self.close_connection = True
                return
            status, headers, content = answered
            self.send_response(status)
            for name, value in {"Content-Type": "application/x-protobuf", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    target.url = f"http://127.0.0.1:{server.server_port}"
    yield target
    target.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def many(write):
    """Write so many spans, and return them."""

    def make(number, **said):
        spans = [
            span
            for index in range(number // 3 + 1)
            for span in turn(f"s{index % 40:03}", number=index, **said)
        ][:number]
        assert write(spans) == number
        return spans

    return make


def stored(path):
    with closing(connect(path)) as connection:
        return [record for _, record in spans_after(connection, 0, 10**6)]


def ids(records):
    return Counter((it.trace_id, it.span_id) for it in records)


def test_all_spans_reach_the_endpoint_unchanged_and_once(clew, filled, target, path):
    command = ["export", "--to", "otlp", "--endpoint", target.url, "--header", "api-key=secret"]
    done = clew(*command)
    assert done.stdout == f"Exported 12 spans to {target.url}/v1/traces.\n"
    assert done.stderr == ""
    (request,) = target.requests
    assert request[0] == "/v1/traces"
    assert request[1]["api-key"] == "secret"
    assert request[1]["Content-Encoding"] == "gzip"
    assert sorted(map(repr, target.kept)) == sorted(map(repr, stored(path)))
    assert "it had 12 spans already" in clew(*command).stdout
    assert len(target.requests) == 1


def test_later_only_what_is_new_is_sent_whichever_filter_there_was(clew, filled, target, write):
    command = ["export", "--to", "otlp", "--endpoint", target.url, "--json"]
    first = json.loads(clew(*command, "--user", "bob").stdout)
    assert (first["exported"], first["already"], first["error"]) == (3, 0, "")
    assert {it.attributes["user.id"] for it in target.kept} == {"bob"}
    assert json.loads(clew(*command, "--session", "chat-43").stdout)["exported"] == 3
    write(turn("new"))
    last = json.loads(clew(*command).stdout)
    assert (last["exported"], last["already"]) == (9, 6)
    assert set(ids(target.kept).values()) == {1}
    assert len(target.kept) == 15


def test_a_killed_export_goes_on_where_it_stopped(clew, many, target, environment, path):
    many(3 * PER_BATCH + 7)
    target.answers = [(200, {}, b""), (200, {}, b""), "hang"]
    command = ["export", "--to", "otlp", "--endpoint", target.url]
    process = subprocess.Popen([sys.executable, "-m", "clew", *command], env=environment)
    assert target.stuck.wait(60)
    process.kill()
    process.wait()
    assert len(target.kept) == 2 * PER_BATCH
    done = clew(*command)
    assert "Exported 519 spans" in done.stdout
    assert ids(target.kept) == ids(stored(path))


def test_it_tries_again_where_the_endpoint_says_later(clew, filled, target):
    now = {"Retry-After": "0"}
    target.answers = [(503, now, b""), (429, now, b""), (502, now, b""), (504, now, b"")]
    assert "Exported 12 spans" in clew("export", "--to", "otlp", "--endpoint", target.url).stdout
    assert len(target.requests) == 5


def test_it_gives_up_on_an_endpoint_that_is_not_there_or_says_no(clew, many, target):
    many(PER_BATCH + 5)
    command = ["export", "--to", "otlp", "--endpoint", target.url]
    target.answers = [(200, {}, b""), (401, {"Content-Type": "text/plain"}, b"a wrong key")]
    done = clew(*command, status=1)
    assert f"Exported 512 spans to {target.url}" in done.stdout
    assert "ended too early" in done.stdout
    assert "answered 401 Unauthorized: a wrong key" in done.stdout
    for status in (302, 404):
        target.answers = [(status, {"Location": f"{target.url}/elsewhere"}, b"")]
        assert f"answered {status}" in clew(*command, status=1).stdout
    assert "Exported 5 spans" in clew(*command).stdout


def test_what_is_rejected_is_counted_and_not_sent_again(clew, filled, target):
    partial = ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 4
    partial.partial_success.error_message = "too old\x1b[2J"
    target.answers = [(200, {}, partial.SerializeToString())]
    command = ["export", "--to", "otlp", "--endpoint", target.url]
    done = clew(*command, status=1)
    assert "Exported 8 spans" in done.stdout
    assert "4 spans rejected" in done.stdout
    assert "  too old\\x1b[2J\n" in done.stdout
    assert "it had 12 spans already" in clew(*command).stdout


def test_a_refused_batch_is_sent_again_the_next_time(clew, many, target):
    many(PER_BATCH + 5)
    target.answers = [(400, {"Content-Type": "application/json"}, b'{"message": "bad"}')]
    command = ["export", "--to", "otlp", "--endpoint", target.url, "--json"]
    first = json.loads(clew(*command, status=1).stdout)
    assert (first["exported"], first["refused"]) == (5, PER_BATCH)
    assert first["reasons"] == ['400 Bad Request: {"message": "bad"}']
    assert json.loads(clew(*command).stdout)["exported"] == PER_BATCH


def test_a_batch_that_is_too_large_is_sent_in_parts(clew, filled, target, path):
    def only_small(body):
        return (200, {}, b"") if len(from_protobuf(gzip.decompress(body))) < 4 else (413, {}, b"")

    target.answers = [only_small] * 99
    clew("export", "--to", "otlp", "--endpoint", target.url)
    assert ids(target.kept) == ids(stored(path))


def test_of_a_batch_that_is_sent_in_parts_only_what_was_refused_is_sent_again(
    clew, filled, target, path
):
    (too_large,) = (it for it in stored(path) if it.name == "search")

    def without(body):
        found = ids(from_protobuf(gzip.decompress(body)))
        is_too_large = (too_large.trace_id, too_large.span_id) in found
        return (413, {}, b"") if is_too_large else (200, {}, b"")

    target.answers = [without] * 99
    command = ["export", "--to", "otlp", "--endpoint", target.url, "--json"]
    first = json.loads(clew(*command, status=1).stdout)
    assert (first["exported"], first["refused"]) == (len(stored(path)) - 1, 1)
    again = json.loads(clew(*command, status=1).stdout)
    assert (again["exported"], again["refused"]) == (0, 1)


def lines(file):
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [from_json(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["spans.jsonl", "spans.jsonl.gz"])
def test_a_file_gets_one_request_a_line_and_grows(clew, many, write, tmp_path, path, name):
    many(PER_BATCH + 5)
    file = tmp_path / name
    clew("export", "--to", "jsonl", file)
    assert [len(it) for it in lines(file)] == [PER_BATCH, 5]
    write(turn("new"))
    assert "Exported 3 spans" in clew("export", "--to", "jsonl", file).stdout
    exported = [record for line in lines(file) for record in line]
    assert sorted(map(repr, exported)) == sorted(map(repr, stored(path)))


def test_half_a_line_of_an_interrupted_export_is_removed(clew, filled, write, tmp_path, path):
    file = tmp_path / "spans.jsonl"
    clew("export", "--to", "jsonl", file, "--user", "bob")
    size = file.stat().st_size
    from clew.cli.export.delivered import Delivered

    state = path.with_name("sessions.db-exported")
    assert state.stat().st_mode & 0o777 == 0o600
    with closing(connect(path)) as store, Delivered(state, store, f"jsonl {file}") as delivered:
        delivered.announce(size + 100)
    with file.open("a") as end:
        end.write('{"resourceSpans":[{"reso')
    clew("export", "--to", "jsonl", file)
    assert ids(it for line in lines(file) for it in line) == ids(stored(path))


def test_a_file_of_somebody_else_is_left_alone(clew, filled, tmp_path):
    file = tmp_path / "spans.jsonl"
    file.write_text("mine\n")
    done = clew("export", "--to", "jsonl", file, status=1)
    assert "spans.jsonl is there already, and is left as it is" in done.stderr
    file.unlink()
    clew("export", "--to", "jsonl", file)
    with file.open("a") as end:
        end.write("mine\n")
    assert "was changed since" in clew("export", "--to", "jsonl", file, status=1).stderr
    assert file.read_text().endswith("mine\n")


def test_a_store_that_is_made_anew_is_exported_anew(clew, filled, write, tmp_path, path, target):
    command = ["export", "--to", "otlp", "--endpoint", target.url]
    clew(*command)
    for file in (path, *path.parent.glob("sessions.db-[ws]*")):
        file.unlink(missing_ok=True)
    write(turn("new"))
    assert "Exported 3 spans" in clew(*command).stdout


def test_a_pipe_gets_json_lines(clew, filled):
    done = clew("export", "--to", "jsonl", "-", "--session", "chat-42")
    assert len(from_json(done.stdout)) == 6
    assert done.stderr.startswith("Exported 6 spans to standard output")


def test_half_a_surrogate_pair_is_a_question_mark_in_a_table(clew, write, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    half = "caf\udce9"
    resource, scope = Resource({"service.name": half}), Scope(half)
    write(
        [
            replace(it, name=half, status_message=half, resource=resource, scope=scope)
            for it in turn()
        ]
    )
    file = tmp_path / "spans.parquet"
    clew("export", "--to", "parquet", file)
    rows = parquet.read_table(file).to_pylist()
    names = ("name", "status_message", "service", "scope")
    assert {row[name] for row in rows for name in names} == {"caf?"}


def test_a_table_of_spans(clew, filled, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "spans.parquet"
    assert "Exported 12 spans" in clew("export", "--to", "parquet", file).stdout
    table = parquet.read_table(file)
    rows = table.to_pylist()
    assert [it["session_id"] for it in rows] == sorted(it["session_id"] for it in rows)
    (called,) = (it for it in rows if it["kind"] == "LLM" and it["session_id"] == "chat-43")
    assert (called["day"].isoformat(), called["start"].isoformat()) == (
        "2026-05-28",
        "2026-05-28T20:28:10.500000+00:00",
    )
    assert (called["seconds"], called["status"], called["cost"]) == (0.7, "ERROR", 0.0021)
    assert (called["model"], called["total_tokens"], called["service"]) == (
        "gpt-4o-mini",
        120,
        "shop",
    )
    attributes = json.loads(called["attributes"])
    assert attributes["llm.input_messages.1.message.content"] == "Hello?"
    assert attributes["session.id"] == "chat-43"
    assert [it.name for it in tmp_path.glob("*parquet*")] == ["spans.parquet"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--to"),
        (["--to", "otlp"], "needs --endpoint"),
        (["--to", "otlp", "--endpoint", "localhost:4318"], "is no URL"),
        (["--to", "jsonl"], "needs a file"),
        (["--to", "parquet", "-"], "needs a file"),
        (["--to", "parquet", "s3://bucket/lake/"], "needs a file, and no URL"),
        (["--to", "jsonl", "s3:/bucket/spans.jsonl"], "needs a file, and no URL"),
        (["--to", "clickhouse", "s3://bucket/lake/"], "needs a URL, such as clickhouse:"),
        (["--to", "jsonl", "x", "--endpoint", "http://x"], "belong to --to otlp"),
        (["--to", "otlp", "--endpoint", "http://x", "--header", "s3cret"], "NAME=VALUE"),
    ],
)
def test_wrong_usage(clew, filled, options, said):
    done = clew("export", *options, status=2)
    assert said in done.stderr
    assert "s3cret" not in done.stderr


@contextmanager
def being_used(state):
    from clew.store.database import transaction

    with closing(connect(state, create=True)) as connection, transaction(connection):
        yield


def test_a_state_that_cannot_be_used_is_named(clew, filled, tmp_path, target):
    state = tmp_path / "state"
    state.write_text("Not a state. " * 99)
    command = ["export", "--to", "otlp", "--endpoint", target.url, "--state", state]
    assert "is no state of an export" in clew(*command, status=1).stderr
    state.unlink()
    with being_used(state):
        assert "another export is using" in clew(*command, status=1).stderr
    assert target.requests == []


def test_without_pyarrow_it_says_what_to_install(clew, filled, tmp_path):
    absent = tmp_path / "absent" / "pyarrow"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('not installed')")
    done = clew("export", "--to", "parquet", "x.parquet", status=1, PYTHONPATH=str(absent.parent))
    assert "python -m pip install pyarrow" in done.stderr
    assert not (tmp_path / "x.parquet").exists()


def test_a_span_of_the_latest_time_is_exported(clew, write):
    spans = [replace(it, start=2**63 - 1, end=2**63 - 1) for it in turn()]
    write(spans, turn("other"))
    done = clew("export", "--to", "jsonl", "-", "--session", "chat-42")
    assert done.stdout.count('"spanId"') == len(spans)


def test_a_session_without_a_turn_is_exported(clew, write, tmp_path):
    """Its spans say nothing of what they are; another session's id begins like its own."""
    (first, *_) = turn("plain", number=1)
    write([replace(first, attributes={"session.id": "plain"})], turn("plain-2", number=2))
    said = clew("sessions", "plain-without", status=1)
    assert "there is no session" in said.stderr
    file = tmp_path / "spans.jsonl"
    clew("export", "--to", "jsonl", file, "--session", "plain")
    (line,) = file.read_text("utf-8").splitlines()
    (span,) = from_json(line)
    assert span.attributes == {"session.id": "plain"}
