"""What an export remembers, and how it waits for an endpoint."""

import socket
import time
from array import array
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.cli.export import otlp
from clew.cli.export.addresses import is_url, traces_url, without_password
from clew.cli.export.delivered import Delivered
from clew.cli.export.errors import ExportError
from clew.cli.export.otlp import Endpoint, Outcome
from clew.store.database import in_memory
from tests.support.conversation_spans import turn

BATCHES = st.lists(st.sets(st.integers(1, 40), min_size=1), max_size=6)


@pytest.fixture(scope="module")
def store():
    with closing(in_memory()) as connection:
        yield connection


@pytest.mark.slow
@given(batches=BATCHES)
def test_what_was_delivered_is_never_missing_and_the_rest_always_is(store, batches):
    with TemporaryDirectory() as folder:
        known = set()
        for batch in batches:
            with Delivered(Path(folder) / "state", store, "here") as delivered:
                new = delivered.missing(array("q", sorted(batch)))
                assert set(new) == batch - known
                delivered.add(new)
                known |= batch
        with Delivered(Path(folder) / "state", store, "here") as delivered:
            left = delivered.missing(array("q", range(1, 42)))
            assert set(left) == set(range(1, 42)) - known
        with Delivered(Path(folder) / "state", store, "there") as delivered:
            assert len(delivered.missing(array("q", range(1, 42)))) == 41


def test_neighbouring_batches_become_one_range(store, tmp_path):
    with Delivered(tmp_path / "state", store, "here") as delivered:
        for start in range(1, 1000, 100):
            delivered.add(range(start, start + 100))
        (number,) = delivered._connection.execute("SELECT count(*) FROM delivered").fetchone()
        assert number == 1
        delivered.forget()
        assert list(delivered.missing(array("q", [5]))) == [5]


def test_it_waits_longer_each_time_and_gives_up(monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ExportError, match=r"\d+/v1/traces cannot be reached: .*refused"):
        Endpoint(f"http://127.0.0.1:{port}", {}).send(turn(), Outcome())
    assert waits == [0.5, 1, 2, 4, 8]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("86400", 60),
        ("soon", 1.5),
        ("", 1.5),
        (format_datetime(datetime(2020, 1, 1, tzinfo=UTC)), 0),
        pytest.param(format_datetime(datetime.now(UTC) + timedelta(days=1)), 60, id="tomorrow"),
    ],
)
def test_retry_after(header, seconds):
    answer = SimpleNamespace(headers={"Retry-After": header})
    assert otlp._retry_after(answer, 1.5) == seconds


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://host:4318", "http://host:4318/v1/traces"),
        ("http://host:4318/", "http://host:4318/v1/traces"),
        ("https://host/api/public/otel", "https://host/api/public/otel/v1/traces"),
        ("http://host/v1/traces", "http://host/v1/traces"),
        ("http://host/otel?key=1", "http://host/otel/v1/traces?key=1"),
    ],
)
def test_the_url_for_traces(endpoint, url):
    assert is_url(endpoint)
    assert traces_url(endpoint) == url


@pytest.mark.parametrize(
    "text", ["host:4318", "ftp://host", "http://", "http://h:99999", "http://[::1"]
)
def test_what_is_no_url(text):
    assert not is_url(text)


def test_a_password_is_not_shown():
    assert without_password("http://me:secret@host:1/x") == "http://host:1/x"
