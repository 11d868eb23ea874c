"""Fixtures: a store, and a session with any turns in it."""

from contextlib import closing

import pytest

from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, turn


@pytest.fixture
def make_session(tmp_path):
    """Store turns, each given as what was asked and answered or as options, and read them."""
    opened = []

    def make(*turns, name="chat-42", **options):
        path = tmp_path / f"{name}-{len(opened)}" / "sessions.db"
        with closing(connect(path, create=True)) as connection:
            writer = Writer(connection)
            for number, given in enumerate(turns or [{}], 1):
                said = (
                    dict(given)
                    if isinstance(given, dict)
                    else dict(zip(("asked", "answered"), given, strict=True))
                )
                start = START + number * 60 * SECOND
                writer.add(turn(name, number=number, start=start, **{**options, **said}))
        opened.append(SessionStore(path))
        return opened[-1].get(name)

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def session(make_session):
    return make_session({}, {"asked": "Thank you.", "answered": "You are welcome."})


@pytest.fixture
def write(tmp_path):
    """Write groups of spans to the store."""

    def write(*groups):
        with closing(connect(tmp_path / "spans.db", create=True)) as connection:
            for spans in groups:
                Writer(connection).add(spans)

    return write


@pytest.fixture
def store(tmp_path, write):
    """A store of three turns in two sessions."""
    write(turn("a"), turn("a", number=2, start=START + 60 * SECOND), turn("b", "bob"))
    with SessionStore(tmp_path / "spans.db") as opened:
        yield opened
