"""`clew.url`: where a session is shown; it never raises an error where something is logged."""

import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pytest

import clew
from clew.context import page_address
from clew.core.settings import VIEW_URL


def test_a_session_that_is_named():
    assert clew.url("chat-42") == "http://127.0.0.1:4319/session?id=chat-42"


@pytest.mark.parametrize("name", ["a b&c=d#e?f/../g", "世界", "%2e", "half \ud83d", "x" * 5000])
def test_any_id_comes_back_from_the_address(name):
    address = clew.url(name)
    assert address.isascii()
    assert not set(address) & set(" \n\"'<>")
    found = parse_qs(urlsplit(address).query)["id"]
    assert found == [name.encode("utf-8", "replace").decode()]


def test_the_session_of_the_block():
    with clew.using_session("chat-42"):
        assert clew.url().endswith("/session?id=chat-42")
        assert clew.url("other").endswith("/session?id=other")
    assert clew.url() == ""
    assert clew.url("") == ""


def test_in_an_except_block_it_raises_nothing(monkeypatch):
    monkeypatch.setattr("clew.core.containment.reraise", False)
    monkeypatch.setattr(page_address, "current", lambda: 1 / 0)
    assert clew.url() == ""
    assert clew.url(42) == "http://127.0.0.1:4319/session?id=42"


def test_the_address_of_the_page_can_be_set(monkeypatch):
    monkeypatch.setenv("CLEW_VIEW_URL", "https://clew.example/page/")
    assert clew.url("a") == "https://clew.example/page/session?id=a"


@pytest.mark.parametrize(
    "wrong",
    [
        "clew.example",
        "javascript://x",
        "http://",
        "http://a/?token=secret",
        "http://a b",
        "http://u:p@h",
    ],
)
def test_a_wrong_address_is_not_used(monkeypatch, wrong):
    assert VIEW_URL.fault(wrong)
    monkeypatch.setenv("CLEW_VIEW_URL", wrong)
    assert clew.url("a") == "http://127.0.0.1:4319/session?id=a"


def test_the_default_is_where_the_page_is_served():
    pytest.importorskip("uvicorn")
    from clew.viewer.serve import DEFAULT_PORT

    assert VIEW_URL.default == f"http://127.0.0.1:{DEFAULT_PORT}"


def test_it_imports_nothing_of_the_page():
    code = (
        "import sys, clew\nclew.url('a')\n"
        "assert not {'clew.viewer', 'clew.sessions', 'sqlite3', 'opentelemetry.sdk'}"
        " & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
