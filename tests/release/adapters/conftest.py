"""Fixtures: one package at a time, a session, a server for its model, and no other machine."""

import os
import sys
from contextlib import closing
from importlib import metadata
from ipaddress import ip_address

import pytest

from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, turn
from tests.support.providers.fixtures import server

__all__ = ["server"]

# They would report home, or fetch what they show.
os.environ |= {
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
    "DEEPEVAL_UPDATE_WARNING_OPT_IN": "NO",
    "ERROR_REPORTING": "NO",
}


def pytest_ignore_collect(collection_path):
    """Leave out the tests of packages that are not installed, unless they are to be tested."""
    package = {
        "test_phoenix_evals.py": "arize-phoenix-evals",
        "test_deepeval.py": "deepeval",
        "test_autoevals.py": "autoevals",
    }.get(collection_path.name)
    if package is None:
        return None
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        # The session names the one that it has installed, so that it cannot pass by skipping all.
        assert os.environ.get("ADAPTER") != package, f"{package} is not installed"
        return True
    return None


_left = []
_watched = []


def _stay(event, arguments):
    """Note and refuse whatever is asked of another machine, while a test runs."""
    if not _watched or event not in {"socket.connect", "socket.getaddrinfo"}:
        return
    host = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
    host = host[0] if isinstance(host, tuple) else host
    host = host.decode() if isinstance(host, bytes) else host
    if host in {None, "", "localhost"} or host.startswith("/"):
        return
    try:
        if ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    _left.append(host)
    message = f"the network was asked for {host}"
    raise OSError(message)


if "ADAPTER" in os.environ:  # It cannot be removed again.
    sys.addaudithook(_stay)


@pytest.fixture(autouse=True)
def _nothing_leaves_this_machine():
    _left.clear()
    _watched.append(True)
    yield
    _watched.clear()
    assert _left == []


@pytest.fixture
def session(tmp_path):
    path = tmp_path / "kept" / "sessions.db"
    with closing(connect(path, create=True)) as connection:
        writer = Writer(connection)
        writer.add(turn(found=("Orders are sent within a day.",)))
        thanks = {"asked": "Thank you.", "answered": "You are welcome.", "tool": False}
        writer.add(turn(number=2, start=START + 60 * SECOND, **thanks))
    with SessionStore(path) as store:
        yield store.get("chat-42")
