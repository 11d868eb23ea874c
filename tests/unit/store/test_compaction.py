"""Spans are compressed some time after they were written, and come back unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.store import compaction
from clew.store.compaction import compact
from clew.store.database import connect, file_size
from clew.store.reader import spans_after
from clew.store.writer import Writer
from tests.support.conversations import Conversations
from tests.unit.store.spans import records


def summarised(connection, span=10**9):
    connection.execute("UPDATE progress SET value = ? WHERE name = 'summarised'", (span,))


def test_it_takes_half_the_space(store):
    for session in Conversations().sessions(20):
        Writer(store).add(session)
    before, size = spans_after(store), file_size(store)
    summarised(store)
    assert compact(store)
    assert spans_after(store) == before
    assert file_size(store) < size / 2
    assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    changes = store.total_changes
    assert compact(store)
    assert store.total_changes == changes


@pytest.mark.slow
@given(st.lists(records, max_size=6))
def test_every_span_comes_back_unchanged(tmp_path_factory, batch):
    connection = connect(tmp_path_factory.mktemp("store") / "spans.db", create=True)
    Writer(connection).add(batch)
    before = spans_after(connection)
    summarised(connection)
    assert compact(connection)
    assert spans_after(connection) == before
    assert Writer(connection).add(batch) == 0
    connection.close()


def test_only_what_is_summarised_is_compressed_and_it_goes_on_from_there(store, monkeypatch):
    monkeypatch.setattr(compaction, "_SPANS_PER_STEP", 2)
    for session in Conversations().sessions(4):
        Writer(store).add(session)
    ids = [number for number, _ in spans_after(store)]

    def compressed():
        query = "SELECT count(*) FROM span WHERE typeof(attributes) = 'blob'"
        return store.execute(query).fetchone()[0]

    summarised(store, ids[4])
    assert not compact(store, seconds=0)
    some = compressed()
    assert compact(store)
    assert some <= compressed() <= 5
    summarised(store)
    assert compact(store)
    assert compressed() > 5
    assert [number for number, _ in spans_after(store)] == ids
