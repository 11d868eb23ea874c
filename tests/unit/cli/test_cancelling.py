"""Ctrl-C ends what waits for an engine, also where the engine cannot be cancelled."""

import os
import signal
import socket
import sqlite3
import sys
from threading import Event, Thread
from time import monotonic

import pytest

from clew.cli import _following, view
from clew.cli._cancelling import CancelledError, cancellable
from clew.cli._following import Follower
from clew.core.errors import ClewError

pytestmark = [pytest.mark.timeout(30), pytest.mark.usefixtures("interruptible")]
LONG = 20


class Engine:
    """Is asked something that has no answer."""

    name = "an engine"
    is_asked = True

    def __init__(self, cancelling):
        self.told, self.tried, self.cancelling = Event(), Event(), cancelling

    def cancel(self):
        self.tried.set()
        self.cancelling()

    def share_done(self):
        self.told.set()
        raise RuntimeError


def closed():
    message = "closed already"
    raise RuntimeError(message)


def denied():
    message = "may not kill queries"
    raise ClewError(message)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def is_cancelled(engine, meanwhile):
    """Ask the engine, as a command does; return whether the command ends before the answer."""
    try:
        with cancellable() as watch:
            watch.engines.append(engine)
            meanwhile()
            return Event().wait(LONG)
    except CancelledError:
        return True


@pytest.mark.usefixtures("contained")
def test_one_ctrl_c_ends_the_command_where_cancelling_fails(caplog):
    assert is_cancelled(Engine(closed), interrupt)
    assert "closed already" in caplog.text
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("contained")
def test_the_share_that_is_done_cannot_end_the_watch(monkeypatch, caplog):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    engine = Engine(denied)

    def twice():
        assert engine.told.wait(LONG)
        interrupt()
        assert engine.tried.wait(LONG)
        interrupt()

    assert is_cancelled(engine, twice)
    assert "asking an engine how far it is" in caplog.text


def test_the_second_ctrl_c_does_not_wait_for_the_engine():
    never = Event()
    engine = Engine(lambda: never.wait(LONG))

    def twice():
        interrupt()
        assert engine.tried.wait(LONG)
        interrupt()

    since = monotonic()
    assert is_cancelled(engine, twice)
    assert monotonic() - since < LONG / 2
    never.set()


def test_nothing_is_opened_where_ctrl_c_is_not_watched(monkeypatch):
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        monkeypatch.setattr(socket, "socketpair", closed)
        with cancellable() as watch:
            assert not watch.is_interrupted
    finally:
        signal.signal(signal.SIGINT, handler)


def test_a_follower_goes_on_after_errors_of_the_copy(monkeypatch):
    errors = [sqlite3.OperationalError("database\nis locked"), OSError("no space"), None]
    said, copied = [], Event()

    def copy(*_):
        if errors and (error := errors.pop(0)):
            raise error
        copied.set()

    monkeypatch.setattr(_following, "copy_of", copy)
    with Follower("duckdb:x", said.append, seconds=0.01):
        assert copied.wait(LONG)
    assert said == [
        "Not up to date: OperationalError: database is locked",
        "Not up to date: OSError: no space",
    ]


@pytest.mark.parametrize("cancelling", [denied, closed])
@pytest.mark.usefixtures("contained")
def test_a_follower_ends_where_the_engine_does_not(monkeypatch, cancelling):
    never, engine = Event(), Engine(cancelling)
    monkeypatch.setattr(_following, "_PATIENCE", 0.5, raising=False)
    monkeypatch.setattr(_following, "copy_of", lambda *it: (it[2](engine), never.wait(LONG)))
    since = monotonic()
    with Follower("duckdb:x", print):
        pass
    assert monotonic() - since < LONG / 2
    assert engine.tried.wait(LONG)
    never.set()


def test_ctrl_c_is_what_it_was_after_the_page(tmp_path):
    pytest.importorskip("uvicorn")

    def end():
        while signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            pass
        interrupt()

    Thread(target=end, daemon=True).start()
    arguments = ["--no-browser", "--port", "0", "--store", str(tmp_path / "sessions.db")]
    sqlite3.connect(tmp_path / "sessions.db").close()
    view.command.main(arguments, standalone_mode=False)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
