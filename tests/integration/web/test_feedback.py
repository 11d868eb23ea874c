"""The route for feedback, on real servers: what a page posts becomes an evaluation in the store."""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import pytest

import clew
from clew import evaluations, sessions
from clew.core.errors import ConfigurationError
from clew.export.store_exporter import StoreExporter
from clew.web import from_cookie, from_header
from clew.web.asgi import SessionMiddleware as ASGIMiddleware
from clew.web.wsgi import SessionMiddleware as WSGIMiddleware
from tests.integration.web.conftest import url_of

httpx = pytest.importorskip("httpx")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

ROOT = Path(__file__).parents[3]
IDS = {"x-session-id": "chat-42", "cookie": "uid=ada"}
JSON = {"content-type": "application/json"}
OPTIONS = {"session": from_header("x-session-id"), "user": from_cookie("uid")}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kept" / "spans.db"


@pytest.fixture
def uvicorn(serve, path):
    """FastAPI on uvicorn, with OpenTelemetry's middleware around it."""
    pytest.importorskip("fastapi")
    asgi = pytest.importorskip("opentelemetry.instrumentation.asgi")
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/other")
    def other():
        return "the application's own"

    provider = TracerProvider(shutdown_on_exit=False)
    exporter = StoreExporter(path)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    clew.instrument_all(tracer_provider=provider, only=[])
    app = ASGIMiddleware(app, **OPTIONS, fresh=True, feedback_path="/feedback")
    with serve(asgi.OpenTelemetryMiddleware(app, tracer_provider=provider)) as url:
        yield url
    clew.uninstrument_all()
    provider.shutdown()


@pytest.fixture
def gunicorn(listening, path, tmp_path):
    """Flask on gunicorn, in a process of its own."""
    pytest.importorskip("gunicorn")
    pytest.importorskip("flask")
    command = [sys.executable, "-m", "gunicorn", "tests.integration.web.feedback_app:application"]
    command += ["--bind", f"fd://{listening.fileno()}", "--graceful-timeout", "5"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            command,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "GUNICORN_CMD_ARGS": "",
                "XDG_RUNTIME_DIR": str(tmp_path),
                "FEEDBACK_STORE": str(path),
            },
            pass_fds=[listening.fileno()],
            stdout=log,
            stderr=log,
        )
        try:
            yield url_of(listening)
        finally:
            server.terminate()
            server.wait(timeout=30)


@pytest.fixture(params=["uvicorn", "gunicorn"])
def url(request):
    return request.getfixturevalue(request.param)


def said(path):
    if not path.exists():
        return []
    with sessions.open(path) as store:
        assert not store.list(), "feedback has become a turn"
        return [
            (it.session_id, it.identifier, it.name, it.score, it.label, it.explanation)
            for it in evaluations.history(store)
        ]


def test_what_is_posted_is_kept(url, path):
    answer = httpx.post(f"{url}/feedback", headers=IDS, json={"score": 1, "comment": "Thanks"})
    assert (answer.status_code, answer.content) == (204, b"")
    named = {"label": "bad", "session_id": "chat-7", "comment": None}
    assert httpx.post(f"{url}/feedback", headers=IDS, json=named).status_code == 204
    assert said(path) == [
        ("chat-42", "ada", "thumbs", 1.0, "good", "Thanks"),
        ("chat-7", "ada", "thumbs", 0.0, "bad", None),
    ]
    with sessions.open(path) as store:
        assert {it.annotator_kind for it in evaluations.current(store)} == {"HUMAN"}


def test_all_spans_of_its_request_are_in_the_session(uvicorn, path):
    """OpenTelemetry's middleware makes one for each message of the server and to it."""
    for body in ({"score": 1}, {"score": 1, "session_id": "chat-7"}, {}):
        httpx.post(f"{uvicorn}/feedback", headers=IDS, json=body)
    query = "SELECT name, session_id, user_id FROM spans WHERE name <> 'feedback'"
    ends = monotonic() + 30
    with sessions.open(path) as store:
        while len(found := [tuple(row.values()) for row in store.sql(query)]) < 4 * 3:
            assert monotonic() < ends, found
            sleep(0.05)
    assert {name for name, *_ in found} >= {
        "POST /feedback http receive",
        "POST /feedback http send",
    }
    assert {tuple(ids) for _, *ids in found} == {("chat-42", "ada")}


def test_other_requests_are_the_applications(url):
    assert "own" in httpx.post(f"{url}/other", headers=IDS).text
    assert httpx.get(f"{url}/feedback", headers=IDS).status_code == 404
    assert httpx.options(f"{url}/feedback", headers=IDS).status_code == 404


WRONG = [
    (b"", 400, "no JSON"),
    (b"{", 400, "no JSON"),
    (b"\xff", 400, "no JSON"),
    (b"[" * 5000, 400, "no JSON"),
    (b"[1]", 400, "a JSON object"),
    (b"{}", 400, "score=, label= or comment="),
    (b'{"score": "1"}', 400, "score must be a finite number, not str"),
    (b'{"score": NaN}', 400, "score must be a finite number"),
    (b'{"score": 1e999}', 400, "score must be a finite number"),
    (b'{"score": 1, "user_id": "eve"}', 400, "'user_id' is not known"),
    (b'{"label": {}}', 400, "label must be a string, not dict"),
    (b'{"score": 1, "session_id": ""}', 400, "session_id is no id"),
    (b'{"score": 1, "session_id": "a\\u0000b"}', 400, "session_id is no id"),
    (b'{"score": 1, "session_id": ["a"]}', 400, "session_id is no id"),
    (b'{"score": 1, "trace_id": "ab", "span_id": "cd"}', 400, "32 hexadecimal digits"),
    (json.dumps({"comment": "x" * 50_001}).encode(), 400, "50,001 characters"),
    (json.dumps({"comment": "x" * 70_000}).encode(), 413, "more than 65,536 bytes"),
]


def test_what_cannot_be_used_is_answered_with_the_reason(url, path):
    for body, status, reason in WRONG:
        answer = httpx.post(f"{url}/feedback", content=body, headers={**IDS, **JSON})
        assert (answer.status_code, reason in answer.json()["error"]) == (status, True), body[:50]
    answer = httpx.post(f"{url}/feedback", content=b'{"score": 1}', headers=JSON)
    assert (answer.status_code, "send session_id" in answer.json()["error"]) == (400, True)
    assert said(path) == []


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_form_of_another_site_cannot_send_it(url, path, kind):
    headers = {**IDS, "content-type": kind}
    answer = httpx.post(f"{url}/feedback", content=b'{"score": 1}', headers=headers)
    assert answer.status_code == 415
    assert said(path) == []


def test_a_body_without_a_length_is_read(url, path):
    answer = httpx.post(
        f"{url}/feedback", content=iter([b'{"sco', b're": 1}']), headers={**IDS, **JSON}
    )
    assert answer.status_code == 204
    assert [it[3] for it in said(path)] == [1.0]


def test_a_client_that_leaves_breaks_nothing(url, path):
    host, port = url.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=30)) as client:
        client.sendall(
            b"POST /feedback HTTP/1.1\r\nhost: localhost\r\nx-session-id: chat-42\r\n"
            b'content-type: application/json\r\ncontent-length: 100\r\n\r\n{"score": 1'
        )
    answer = httpx.post(f"{url}/feedback", headers=IDS, json={"score": 0})
    assert answer.status_code == 204
    assert [it[3] for it in said(path)] == [0.0]


@pytest.mark.parametrize("middleware", [ASGIMiddleware, WSGIMiddleware])
def test_it_is_off_unless_a_path_is_given(middleware):
    assert middleware(lambda *_: None, **OPTIONS)._feedback_path is None
    for wrong, words in (("feedback", "is no path"), (7, "not int"), ("/a?b", "is no path")):
        with pytest.raises(ConfigurationError, match=words):
            middleware(lambda *_: None, **OPTIONS, feedback_path=wrong)
