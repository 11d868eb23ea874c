"""Flask and Django on gunicorn, with and without OpenTelemetry's middleware."""

import os
import socket
import struct
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.web.conftest import url_of
from tests.integration.web.recorder import WARNINGS, Record
from tests.integration.web.wsgi_apps import ROWS
from tests.support.providers import ProviderServer

httpx = pytest.importorskip("httpx")

ROOT = Path(__file__).parents[3]
WAYS = ("bare", "outside", "inside", "framework")
CELLS = [
    (framework, way, worker)
    for framework in ("flask", "django")
    for way in WAYS
    for worker in ("sync", "gthread")
]


@contextmanager
def gunicorn(listening, framework, way, worker, *, folder, openai):
    """Serve until the block ends; then every recorded line is written."""
    pytest.importorskip("gunicorn")
    pytest.importorskip(framework)
    pytest.importorskip("openai")
    if way != "bare":
        pytest.importorskip("opentelemetry.instrumentation.wsgi")
    if way == "framework":
        pytest.importorskip(f"opentelemetry.instrumentation.{framework}")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    log = folder / "log"
    command = [sys.executable, "-m", "gunicorn", "tests.integration.web.wsgi_apps:application"]
    command += ["--bind", f"fd://{listening.fileno()}", "--worker-class", worker]
    command += ["--threads", "4" if worker == "gthread" else "1", "--graceful-timeout", "5"]
    with log.open("w") as output:
        server = subprocess.Popen(
            command,
            env={
                **os.environ,
                "PYTHONPATH": path,
                "GUNICORN_CMD_ARGS": "",
                "XDG_RUNTIME_DIR": str(folder),  # Where gunicorn puts a socket of its own.
                "WEB_FRAMEWORK": framework,
                "WEB_WAY": way,
                "WEB_RECORD": str(folder / "record"),
                "WEB_OPENAI": openai,
            },
            pass_fds=[listening.fileno()],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield url_of(listening)
        finally:
            server.terminate()
            server.wait(timeout=30)
    complaints = [line for line in log.read_text().splitlines() for it in WARNINGS if it in line]
    assert complaints == []


def disconnect(url):
    """Request an endless response, and reset the connection after its first bytes."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(
            b"GET /raw-endless HTTP/1.1\r\nhost: localhost\r\n"
            b"x-session-id: raw-endless\r\ncookie: uid=ada\r\n\r\n"
        )
        assert client.recv(4096)


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "way", "worker"), CELLS)
def test_every_row(framework, way, worker, listening, tmp_path):
    sessions = [f"session-{number % 10}" for number in range(50)]

    def ask(number):
        headers = {"x-session-id": sessions[number], "cookie": "uid=ada"}
        return httpx.get(f"{url}/plain", headers=headers, timeout=30).status_code

    with (
        ProviderServer() as provider,
        gunicorn(
            listening, framework, way, worker, folder=tmp_path, openai=provider.openai_url
        ) as url,
    ):
        for row in ROWS:
            headers = {"x-session-id": row, "cookie": "uid=ada"}
            answer = httpx.get(f"{url}/{row}", headers=headers, timeout=30)
            assert answer.status_code == (500 if row == "error" else 200), answer.text
        disconnect(url)
        assert httpx.get(f"{url}/late", timeout=30).status_code == 200
        assert httpx.get(f"{url}/plain", timeout=30).status_code == 200
        with ThreadPoolExecutor(10) as pool:
            assert set(pool.map(ask, range(50))) == {200}
    record = Record.read(tmp_path / "record")
    record.assert_clean(requests=len(ROWS) + 53)
    for row, names in ROWS.items():
        assert record.names(row) == Counter(names), row
    endless = record.names("raw-endless")
    assert endless["closed"] == 1
    assert 1 <= endless["chunk"] < 10_000
    assert record.names("learnt late") == Counter(["handler"])
    assert record.names(None) == Counter(["handler"])
    concurrent = [span for span in record.application if span.session in sessions]
    assert len(concurrent) == 50
    assert [span for span in concurrent if span.told != span.session] == []
    models = [span for span in record.spans if "openinference" in span.scope]
    assert [(span.session, span.user) for span in models] == [("openai", "ada")] * 2
    users = {span.session: span.user for span in record.spans}
    assert users.pop(None) is None
    assert users.pop("learnt late") == "bob"
    assert set(users) == {*ROWS, "raw-endless", *sessions}
    assert set(users.values()) == {"ada"}
    assert_servers(record, sessions, way)


def assert_servers(record, sessions, way):
    """The servers' own spans are in the sessions of their requests."""
    expected = Counter((f"/{row}", row) for row in [*ROWS, "raw-endless"])
    expected += Counter(("/plain", session) for session in sessions)
    expected += Counter([("/plain", None), ("/late", "learnt late")])
    if way == "bare":
        expected.clear()
    if way == "framework":  # Which does not see what is served without it.
        expected = Counter({key: it for key, it in expected.items() if "raw" not in key[0]})
    assert Counter((span.path, span.session) for span in record.servers) == expected
