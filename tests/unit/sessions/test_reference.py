"""The summaries of sessions equal what is counted plainly from their turns."""

import json

from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversations import Conversations
from tests.support.session_totals import session_of


def test_summaries_equal_a_plain_count(tmp_path):
    path = tmp_path / "sessions.db"
    connection = connect(path, create=True)
    spans = [span for session in Conversations(seed=7).sessions(60) for span in session]
    Writer(connection).add(spans)
    connection.close()
    with SessionStore(path) as store:
        sessions = store.list(limit=1000)
        assert len(sessions) == 60
        assert sum(session.errors for session in sessions) > 0
        for session in sessions:
            counted = session_of(tuple(session.turns))
            assert len(session.turns) == counted.turn_count
            assert session.tokens == counted.tokens
            assert session.cost == counted.cost or abs(session.cost - counted.cost) < 1e-12
            assert session.spans == counted.spans
            assert (session.errors, session.failed_turns) == (counted.errors, counted.failed_turns)
            assert session.seconds == counted.seconds
            assert abs(session.think_seconds - counted.think_seconds) < 1e-9
            assert abs(session.latency_p50 - counted.p50_seconds) < 1e-9
            assert abs(session.latency_p95 - counted.p95_seconds) < 1e-9
            assert session.first_message == counted.first_message[:500]
            assert session.last_message == counted.last_message[:500]
            assert (session.models, session.tools) == (counted.models, counted.tools)
            assert [session.user_id] == list(counted.user_ids)
        totals = store.ask("totals")[0]
        assert totals["spans"] == len(spans)
        exported = json.loads(store.users().to_json())
        assert sum(user["sessions"] for user in exported) == 60
