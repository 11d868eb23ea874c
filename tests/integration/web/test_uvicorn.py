"""FastAPI and Starlette on uvicorn, real clients, OpenTelemetry's middleware or none."""

import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from clew.patching.undo import UndoStack
from clew.propagation.keep_alive import separate_requests
from tests.integration.web.asgi_apps import FASTAPI_ROWS, ROWS, WAYS, assembled
from tests.integration.web.recorder import ASGIProbe

httpx = pytest.importorskip("httpx")

SERVED = [("fastapi", way) for way in WAYS] + [("starlette", way) for way in WAYS[:4]]
CELLS = [
    (framework, way, row)
    for framework, way in SERVED
    for row in (FASTAPI_ROWS if framework == "fastapi" else ROWS)
]
IDS = {"x-session-id": "chat-42", "cookie": "theme=dark; uid=ada"}


def instrumented(way):
    return way not in {"bare", "wrapped"}


@pytest.fixture
def app(framework, way, telemetry):
    pytest.importorskip(framework)
    if instrumented(way):
        pytest.importorskip("opentelemetry.instrumentation.asgi")
    if way.startswith("framework"):
        pytest.importorskip("opentelemetry.instrumentation.fastapi")
    return ASGIProbe(assembled(framework, way, telemetry), telemetry.recorder)


def assert_all_in(record, session, user):
    """No span is missing an id, none has a wrong one."""
    assert [span for span in record.spans if (span.session, span.user) != (session, user)] == []


@pytest.mark.parametrize(("framework", "way", "row"), CELLS)
def test_a_row(way, row, app, serve, telemetry):
    with serve(app) as url:
        answer = httpx.get(f"{url}/{row}", headers=IDS)
        assert answer.status_code == (500 if row == "error" else 200)
        record = telemetry.recorder.after(1)
    assert_all_in(record, "chat-42", "ada")
    assert record.names("chat-42") == Counter(FASTAPI_ROWS[row])
    assert len(record.servers) == instrumented(way)
    others = len(record.spans) - len(record.application) - len(record.servers)
    # Of an error, the framework's last resort answers, outside of an instrumentation within.
    assert others >= (0 if row == "error" or not instrumented(way) else 2)
    if instrumented(way):
        assert len({span.trace for span in record.spans}) == 1


@pytest.mark.parametrize(("framework", "way"), SERVED)
def test_a_websocket(way, app, serve, telemetry):
    client = pytest.importorskip("websockets.sync.client")
    with serve(app) as url:
        address = url.replace("http", "ws") + "/ws"
        with client.connect(address, additional_headers=IDS, proxy=None) as connection:
            for text in ("one", "as before", "two", "one"):
                connection.send(text)
                assert connection.recv(timeout=10) == "done"
        record = telemetry.recorder.after(1)
    assert record.names("chat-42") == Counter(["connected", "as before", "disconnected"])
    assert record.names("one") == Counter(["message", "message"])
    assert record.names("two") == Counter(["message"])
    assert len(record.application) == 6
    assert {span.user for span in record.spans} == {"ada"}
    assert {span.session for span in record.spans} == {"chat-42", "one", "two"}
    assert [span.session for span in record.servers] == ["chat-42"] * instrumented(way)


@pytest.mark.parametrize(("framework", "way"), SERVED)
def test_a_client_that_disconnects(way, app, serve, telemetry):
    with serve(app) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(
                b"GET /endless HTTP/1.1\r\nhost: localhost\r\n"
                b"x-session-id: chat-42\r\ncookie: uid=ada\r\n\r\n"
            )
            received = b""
            while b"chunk" not in received:
                received += client.recv(4096)
        record = telemetry.recorder.after(1)
    assert_all_in(record, "chat-42", "ada")
    assert record.names("chat-42") == Counter(["chunk", "closed"])
    assert len(record.servers) == instrumented(way)


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "way"), SERVED)
def test_fifty_concurrent_requests(way, app, serve, telemetry):
    sessions = [f"session-{number % 10}" for number in range(50)]

    def ask(number):
        headers = {"x-session-id": sessions[number], "cookie": f"uid=user-{sessions[number]}"}
        path = ("async", "sync")[number % 2]
        return httpx.get(f"{url}/{path}", headers=headers, timeout=30).status_code

    with serve(app) as url, ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(50))) == {200}
        record = telemetry.recorder.after(50)
    assert Counter(span.session for span in record.application) == Counter(sessions)
    assert [span for span in record.application if span.told != span.session] == []
    assert [span for span in record.spans if span.user != f"user-{span.session}"] == []
    assert len(record.servers) == 50 * instrumented(way)
    if instrumented(way):
        one_of_each = {(span.trace, span.session) for span in record.spans}
        assert len(one_of_each) == 50


@pytest.mark.parametrize(("framework", "way"), SERVED)
def test_requests_without_an_id_have_none(way, app, serve, telemetry):
    with serve(app) as url, httpx.Client() as client:
        assert client.get(f"{url}/sync", headers=IDS).status_code == 200
        assert client.get(f"{url}/sync").status_code == 200
        record = telemetry.recorder.after(2)
    assert Counter((span.session, span.user) for span in record.application) == Counter(
        [("chat-42", "ada"), (None, None)]
    )
    assert len(record.servers) == 2 * instrumented(way)


# Without `instrument_all` an instrumentation outside of clew passes its own span on.
CONNECTIONS = [
    (framework, way, separated)
    for framework, way in SERVED
    for separated in (False, True)
    if separated or "outside" not in way
]


@pytest.fixture
def _separated(separated):
    """What `instrument_all` adds, where it is asked for."""
    undo = UndoStack("separating requests")
    if separated:
        separate_requests(undo)
    yield
    undo.undo()


ON_ONE_CONNECTION = Counter([("chat-42", "ada"), ("of-bob", None), (None, None)])


@pytest.mark.usefixtures("_separated")
@pytest.mark.parametrize(("framework", "way", "separated"), CONNECTIONS)
def test_a_request_that_waits_for_the_one_before_it(way, app, serve, telemetry):
    """It is started while the one before it sends its last message."""
    requests = [
        b"GET /async HTTP/1.1\r\nhost: localhost\r\n" + headers + b"\r\n"
        for headers in (
            b"x-session-id: chat-42\r\ncookie: uid=ada\r\n",
            b"x-session-id: of-bob\r\n",
            b"connection: close\r\n",
        )
    ]
    with serve(app) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall(b"".join(requests))
            while client.recv(4096):
                pass
        record = telemetry.recorder.after(3)
    assert_separate(record, way)


@pytest.mark.usefixtures("_separated")
@pytest.mark.parametrize(("framework", "way", "separated"), CONNECTIONS)
def test_requests_after_one_with_a_large_body(framework, way, serve, telemetry):
    """The server stops reading it and goes on in the context in which it is asked for more."""
    pytest.importorskip(framework)
    from starlette.responses import Response

    async def upload(request):
        assert len(await request.body()) == 2_000_000
        await request.app.state.handler(request)
        return Response()

    def prepared(app):
        (app.state.handler,) = [it.endpoint for it in app.routes if it.path == "/async"]
        app.add_route("/upload", upload, methods=["POST"])
        return app

    app = ASGIProbe(assembled(framework, way, telemetry, prepared), telemetry.recorder)
    with serve(app) as url, httpx.Client() as client:
        answers = [
            client.post(f"{url}/upload", content=b"x" * 2_000_000, headers=IDS),
            client.get(f"{url}/async", headers={"x-session-id": "of-bob"}),
            client.get(f"{url}/async"),
        ]
        assert [it.status_code for it in answers] == [200] * 3
        record = telemetry.recorder.after(3)
    assert_separate(record, way)


def assert_separate(record, way):
    """Three requests were separate: none has an id, or is in the trace, of another."""
    assert Counter((span.session, span.user) for span in record.application) == ON_ONE_CONNECTION
    assert {(span.session, span.user) for span in record.spans} == set(ON_ONE_CONNECTION)
    assert len(record.servers) == 3 * instrumented(way)
    assert len({(span.trace, span.session) for span in record.spans}) == 3


@pytest.mark.parametrize(("framework", "way"), SERVED[:1])
def test_a_fresh_session_is_in_the_response(framework, way, serve, telemetry):
    client = pytest.importorskip("websockets.sync.client")
    pytest.importorskip(framework)
    from clew.web import from_header

    options = {"session": from_header("x-session-id"), "fresh": True}
    app = ASGIProbe(assembled(framework, way, telemetry, **options), telemetry.recorder)
    with serve(app) as url:
        answers = [httpx.get(f"{url}/async") for _ in range(3)]
        mine = httpx.get(f"{url}/async", headers=IDS)
        with client.connect(url.replace("http", "ws") + "/ws", proxy=None) as connection:
            over_websocket = connection.response.headers["x-session-id"]
        record = telemetry.recorder.after(5)
    made = [answer.headers["x-session-id"] for answer in answers]
    assert "x-session-id" not in mine.headers
    assert len({*made, over_websocket}) == 4
    assert [record.names(session) for session in made] == [Counter(["handler"])] * 3
    assert record.names(over_websocket) == Counter(["connected", "disconnected"])
    assert record.names("chat-42") == Counter(["handler"])
    assert all(len(session) == 32 for session in made)


@pytest.mark.parametrize("way", WAYS)
def test_through_a_middleware_that_runs_the_application_in_a_task(way, serve, telemetry):
    pytest.importorskip("fastapi")
    pytest.importorskip("opentelemetry.instrumentation.fastapi")
    from starlette.middleware.base import BaseHTTPMiddleware

    async def dispatch(request, call_next):
        with telemetry.tracer.start_as_current_span("before"):
            pass
        response = await call_next(request)
        with telemetry.tracer.start_as_current_span("after"):
            pass
        return response

    def within(app):
        app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
        return app

    app = ASGIProbe(assembled("fastapi", way, telemetry, within), telemetry.recorder)
    with serve(app) as url:
        assert httpx.get(f"{url}/stream-async", headers=IDS).status_code == 200
        record = telemetry.recorder.after(1)
    assert_all_in(record, "chat-42", "ada")
    expected = Counter([*FASTAPI_ROWS["stream-async"], "before", "after"])
    assert record.names("chat-42") == expected
    assert len(record.servers) == instrumented(way)
