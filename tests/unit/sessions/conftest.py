"""A store with conversations that differ in what lists are ordered and filtered by."""

import pytest

from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversations import Conversations


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The store of a shop's assistant with 60 sessions."""
    path = tmp_path_factory.mktemp("shop") / "spans.db"
    connection = connect(path, create=True)
    for session in Conversations(users=20).sessions(60):
        Writer(connection).add(session)
    connection.close()
    with SessionStore(path) as store:
        store.list(limit=1)  # It is summarised then.
        store.score()
        yield store
