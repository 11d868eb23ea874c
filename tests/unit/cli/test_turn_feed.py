"""What `clew tail` prints is new: late spans and ratings do not bring old turns back."""

from contextlib import closing
from dataclasses import replace

import pytest

from clew.cli._turn_feed import TurnFeed
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, rating, turn


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "spans.db"
    connect(path, create=True).close()
    return path


@pytest.fixture
def write(path):
    with closing(connect(path)) as connection:
        yield Writer(connection).add


@pytest.fixture
def feed(path):
    """Begin to follow the store, with these options."""
    with closing(connect(path, read_only=True)) as connection:
        yield lambda: TurnFeed(connection, only_new=True)


def asked(feed):
    return [it.input.text for it in feed.new()]


def test_a_rating_does_not_bring_an_old_turn_back(write, feed):
    spans = turn()
    write(spans)
    following = feed()
    assert asked(following) == []
    write([rating(spans[-1])])
    assert asked(following) == []
    write(turn(asked="More?", number=2))
    assert asked(following) == ["More?"]


def test_a_late_span_does_not_bring_an_old_turn_back(write, feed):
    late, *spans = turn()
    write(spans)
    following = feed()
    write([late])
    assert asked(following) == []


def test_an_old_span_of_another_process_does_not_come_back(write, feed):
    late, *spans = turn()
    remote = [replace(it, parent_id=it.parent_id or b"elsewher", flags=0x301) for it in spans]
    write(remote)
    following = feed()
    write([late])
    assert asked(following) == []
    following._due[late.trace_id] = 0  # As if it had been quiet for long.
    assert asked(following) == []


def test_a_turn_that_went_on_when_the_feed_began_is_shown_once(write, feed):
    *inner, root = turn()
    write(inner)
    following = feed()
    write([root])
    assert asked(following) == ["Where is my order A-17?"]
    write([rating(root)])
    assert asked(following) == []


def test_a_new_turn_in_an_old_trace_is_shown(write, feed):
    spans = turn()
    write(spans)
    following = feed()
    more = turn(asked="More?", start=START + 60 * SECOND)
    write(
        [
            replace(it, span_id=it.span_id[::-1], parent_id=it.parent_id and it.parent_id[::-1])
            for it in more
        ]
    )
    assert asked(following) == ["More?"]


def test_what_was_shown_as_one_of_the_last_is_not_shown_again(write, feed):
    late, model, _ = turn()
    write([model])
    following = feed()
    assert len(list(following.last(1, lambda _: True))) == 1
    write([replace(late, parent_id=model.span_id)])
    assert asked(following) == []
    following._due[late.trace_id] = 0  # As if its root had been waited for in vain.
    assert asked(following) == []
