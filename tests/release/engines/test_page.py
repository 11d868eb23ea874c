"""The page of an engine: it opens at once, and shows what is copied as it comes."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from time import monotonic
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from clew.cli._following import Follower
from clew.sessions.opening import copy_place
from tests.release.engines.evaluated_engine import ENGINE, filled
from tests.support.generated_stores import generated_store

pytestmark = [
    pytest.mark.skipif(ENGINE not in {"clickhouse", "duckdb"}, reason="asks the same code"),
    pytest.mark.timeout(300),
]
LONG = 120


def test_the_page_opens_and_the_sessions_come(tmp_path):
    first, _ = generated_store(2)
    url = filled(first, tmp_path / "engine")
    wanted = next(it.attributes["session.id"] for it in first if it.attributes.get("session.id"))
    process = subprocess.Popen(
        [sys.executable, "-m", "clew", "view", "--store", url, "--no-browser", "--port", "0"],
        env={**os.environ, "CLEW_STORE": str(tmp_path / "sessions.db")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = iter(process.stderr.readline, "")
        address = next(found[1] for it in lines if (found := re.search(r"at (http://\S+/)$", it)))
        assert next(lines) == "Ctrl-C ends it.\n"
        until = monotonic() + LONG
        page = f"{address}session?id={quote(wanted)}"
        while (status := status_of(page)) in {0, 404} and monotonic() < until:
            pass
        assert status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def status_of(address):
    """Return the status of an answer; 0 if the server does not listen yet."""
    try:
        with urlopen(address, timeout=60) as answer:
            return answer.status
    except HTTPError as error:
        error.close()
        return error.code
    except URLError:
        return 0


def test_what_comes_later_is_copied_while_the_page_is_open(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    first, late = generated_store(2)
    support = import_module(f"tests.release.engines.{ENGINE}_support")
    url = support.fill(first, tmp_path / "engine")
    path, said = copy_place(url), []
    with Follower(url, said.append, seconds=0.1):
        until_there(path, first)
        support.more(late, url, tmp_path / "engine")
        until_there(path, [*first, *late])
    assert not said


def until_there(path, spans):
    wanted = {it.span_id for it in spans}
    until = monotonic() + LONG
    with closing(sqlite3.connect(path)) as connection:
        found = set()
        while found != wanted and monotonic() < until:
            found = {span for (span,) in connection.execute("SELECT span_id FROM span")}
    assert found == wanted
