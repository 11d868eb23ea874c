"""Servers on loopback: the spans of every request arrive once, from every worker, with its ids."""

import http.client
import json
import os
import signal
import socket
import time
from importlib.util import find_spec
from itertools import count

import pytest

from tests.integration.zero_code.results import RESULTS
from tests.integration.zero_code.servers import SERVERS, WAYS, complaints, environment, running
from tests.support.providers import ProviderServer

REQUESTS = 12
PATIENCE = 60
LATER = 4_000_000_000
"""A time of change that no reloader has seen before."""
CELLS = [
    pytest.param(server, way, id=f"{server.name}, {way}", marks=pytest.mark.slow)
    for server in SERVERS
    for way in WAYS
]


@pytest.fixture
def listening():
    """A socket that takes connections before anybody serves them: no server is ever waited for."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield server


@pytest.fixture(scope="module")
def provider():
    with ProviderServer() as server:
        yield server


def ask(listening, session):
    """Make one request, and return which process has answered it.

    A worker that is being replaced may close a connection that it has taken and read nothing from.
    Such a request is made again, as any client would.
    """
    connection = http.client.HTTPConnection(*listening.getsockname(), timeout=PATIENCE)
    try:
        connection.request("GET", f"/{session}")
        answered, process = json.loads(connection.getresponse().read())
    except ConnectionError:
        return ask(listening, session)
    finally:
        connection.close()
    assert answered == session
    return process


def answers(listening, server, change):
    """Make requests until there are enough, and every worker has answered; return how many."""
    ends = time.monotonic() + PATIENCE
    processes = set()
    for number in count(1):
        processes.add(ask(listening, f"chat-{number}"))
        if number == REQUESTS and server.reloads:
            change()
        if number >= REQUESTS and len(processes) >= server.workers:
            return number
        assert time.monotonic() < ends, f"only {processes} have answered {number} requests"
    return 0


@pytest.mark.parametrize(("server", "way"), CELLS)
def test_every_request(server, way, listening, collector, provider, tmp_path):
    for module in (*server.needs, "openai"):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    watched = tmp_path / "watched" / "changed.py"
    watched.parent.mkdir()
    watched.touch()
    log = tmp_path / "log"
    variables = environment(
        way, collector.endpoint, provider.openai_url, XDG_RUNTIME_DIR=str(tmp_path)
    )
    words = server.command(listening.fileno())
    try:
        with running(words, way, log, variables, listening.fileno()) as process:
            requests = answers(listening, server, lambda: os.utime(watched, (LATER, LATER)))
    finally:
        print(log.read_text())
    assert process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in log.read_text()
    assert not complaints(log)
    RESULTS.add(server.name, way, requests, collector)
