"""A Node service and a Python service call each other in one session."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.integration.javascript.packages import install

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
EXAMPLE = ROOT / "examples" / "distributed"
DOCUMENTED = ROOT / "docs" / "javascript.md"

pytestmark = pytest.mark.slow
pytest.importorskip("opentelemetry.instrumentation.wsgi")
pytest.importorskip("opentelemetry.instrumentation.httpx")

# The test's own client is not instrumented.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A folder in which the Node service finds its packages, and the example's clew.cjs."""
    folder = tmp_path_factory.mktemp("javascript")
    for name in ("package.json", "package-lock.json", "clew.cjs"):
        shutil.copy(EXAMPLE / name, folder)
    shutil.copy(HERE / "service.cjs", folder)
    install(folder)
    return folder


class Service:
    def __init__(self, port):
        self.port = port

    def url(self, path="/answer", host="127.0.0.1", **query):
        return f"http://{host}:{self.port}{path}" + (f"?{urlencode(query)}" if query else "")

    def get(self, path, **query):
        with _opener.open(self.url(path, **query), timeout=60) as response:
            return response.read()

    def spans(self):
        return json.loads(self.get("/spans"))


@contextmanager
def running(*command, cwd=None, **environment):
    settings = {
        "CLEW_PROPAGATE_TO": "127.0.0.1",
        "CLEW_TRUST_INBOUND": "1",
        "PYTHONPATH": str(ROOT),
        **environment,
    }
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=os.environ | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        line = process.stdout.readline()
        assert line, f"{command[0]} ended with {process.wait()}"
        yield Service(int(line))
        process.stdin.close()
        process.wait(timeout=20)


@contextmanager
def both(packages, **environment):
    with (
        running("node", "service.cjs", cwd=packages, **environment) as node,
        running(sys.executable, str(HERE / "service.py"), **environment) as python,
    ):
        yield node, python


@pytest.fixture(scope="module")
def pair(packages):
    with both(packages) as services:
        yield services


@pytest.fixture
def services(pair):
    """A Node and a Python service that trust each other, without spans of earlier tests."""
    for service in pair:
        service.spans()
    return pair


def counted(*services):
    """Return the ids and traces of all spans, and their names."""
    spans = [span for service in services for span in service.spans()]
    ids = {(span["session"], span["user"]) for span in spans}
    return ids, {span["trace"] for span in spans}, sorted(span["name"] for span in spans)


@pytest.mark.parametrize("by", ["http", "fetch"])
def test_node_calls_python(services, by):
    node, python = services
    node.get("/ask", to=python.url(), session="chat-42", user="ada", by=by)
    ids, traces, names = counted(python)
    assert ids == {("chat-42", "ada")}
    assert names == ["GET /answer", "python answers"]
    _, other_traces, _ = counted(node)
    assert traces == other_traces
    assert len(traces) == 1


def test_python_calls_node(services):
    node, python = services
    python.get("/ask", to=node.url(), session="chat-42", user="ada")
    ids, traces, names = counted(node)
    assert ids == {("chat-42", "ada")}
    assert names == ["GET", "node answers"]
    _, other_traces, _ = counted(python)
    assert traces == other_traces
    assert len(traces) == 1


def test_python_calls_node_which_calls_python(services):
    node, python = services
    session, user = "Grüße, 100% + mehr", "a=b;c"
    back = node.url("/ask", to=python.url(), by="fetch")
    python.get("/ask", to=back, session=session, user=user)
    ids, traces, names = counted(node, python)
    assert ids == {(session, user)}
    assert len(traces) == 1
    assert {"python asks", "node asks", "python answers"} < set(names)


@pytest.mark.parametrize(("length", "is_used"), [(256, True), (257, False)])
def test_the_length_of_an_id_is_counted_in_characters(services, length, is_used):
    """JavaScript counts two for one of these, which Python counts once."""
    node, _ = services
    session = "\N{WAVING HAND SIGN}" * length
    request = urllib.request.Request(
        node.url(), headers={"baggage": f"session.id={quote(session)}"}
    )
    _opener.open(request, timeout=60).close()
    ids, _, _ = counted(node)
    assert ids == {(session if is_used else None, None)}


def test_a_pseudonym_is_not_hashed_again(packages):
    with both(packages, CLEW_USER_ID_KEY="a key of the tests") as (node, python):
        back = node.url("/ask", to=python.url())
        python.get("/ask", to=back, session="chat-42", user="ada")
        ids, _, _ = counted(node, python)
        ((session, user),) = ids
        assert session == "chat-42"
        assert len(user) == 64


def test_a_host_that_is_not_listed_gets_no_ids(services):
    node, python = services
    node.get("/ask", to=python.url(host="localhost"), session="chat-42", user="ada")
    python.get("/ask", to=node.url(host="localhost"), session="chat-42", user="ada")
    sessions = {span["name"]: span["session"] for it in (node, python) for span in it.spans()}
    assert sessions["node asks"] == sessions["python asks"] == "chat-42"
    assert sessions["node answers"] is sessions["python answers"] is None


def test_received_ids_are_not_sent_to_other_hosts(services):
    node, python = services
    python.get("/ask", to=node.url("/ask", to=python.url(host="localhost")), session="chat-42")
    sessions = {span["name"]: span["session"] for it in (node, python) for span in it.spans()}
    assert sessions["node asks"] == "chat-42"
    assert sessions["python answers"] is None


def test_ids_are_ignored_without_trust(packages):
    with both(packages, CLEW_TRUST_INBOUND="0") as (node, python):
        node.get("/ask", to=python.url(), session="chat-42")
        python.get("/ask", to=node.url(), session="chat-42")
        sessions = {span["name"]: span["session"] for it in (node, python) for span in it.spans()}
        assert sessions["node answers"] is sessions["python answers"] is None


def test_opentelemetrys_propagators_send_no_session(packages):
    """The reason for clew.cjs: if this fails, it may no longer be needed."""
    with both(packages, ONLY_STOCK="1") as (node, python):
        node.get("/ask", to=python.url(), session="chat-42")
        sessions = {span["name"]: span["session"] for span in python.spans()}
        assert sessions["python answers"] is None


def test_the_documented_lines_are_the_tested_ones():
    code = (EXAMPLE / "clew.cjs").read_text()
    assert f"```js\n{code}```\n" in DOCUMENTED.read_text()
