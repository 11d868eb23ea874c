"""The figures of a session are sums and ranks of its turns'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.sessions.model import Message, Tokens, Turn
from tests.support.session_totals import percentile, session_of

SECOND = 1_000_000_000


def turn(start, end, asked="Where?", answered="Here.", **given):
    given.setdefault("user_id", "ada")
    return Turn(
        session_id="chat-42",
        trace_id=bytes(16),
        root_id=int(start * 8).to_bytes(8, "big"),
        start=int(start * SECOND),
        end=int(end * SECOND),
        input=Message("user", asked),
        output=Message("assistant", answered),
        **given,
    )


def test_a_session_of_three_turns():
    session = session_of(
        [
            turn(10, 14, "And then?", "Later.", cost=0.5, tokens=Tokens(5, 1, 6), models=("b",)),
            turn(0, 3, tokens=Tokens(1, None, 1), models=("a",), time_to_first_token=1.0),
            turn(20, 21, "Hm?", "", errors=2, error="late", user_id="bob", models=("a",)),
        ]
    )
    assert [it.input.text for it in session.turns] == ["Where?", "And then?", "Hm?"]
    assert (session.session_id, session.user_ids) == ("chat-42", ("ada", "bob"))
    assert (session.start, session.end, session.seconds) == (0, 21 * SECOND, 21)
    assert session.think_seconds == 13
    assert (session.turn_count, session.spans) == (3, 0)
    assert (session.tokens, session.cost) == (Tokens(6, 1, 7), 0.5)
    assert (session.errors, session.failed_turns, session.error) == (2, 1, "late")
    assert (session.p50_seconds, session.p95_seconds) == (3, 4)
    assert (session.p50_first_token, session.p95_first_token) == (1, 1)
    assert (session.first_message, session.last_message) == ("Where?", "Hm?")
    assert session.models == ("a", "b")


def test_turns_in_which_nothing_was_said_count_in_sums_only():
    embedding = turn(0, 9, "", "", cost=0.25)
    session = session_of([embedding, turn(10, 11, cost=0.5)])
    assert (session.turn_count, session.cost, session.think_seconds) == (1, 0.75, 0)
    assert (session.p50_seconds, session.seconds) == (1, 11)
    assert session_of([embedding]).p50_seconds is None


def test_turns_at_the_same_time_leave_no_time_to_think():
    assert session_of([turn(0, 9), turn(1, 2), turn(10, 11)]).think_seconds == 1


def test_a_session_has_a_turn():
    with pytest.raises(ValueError, match="at least one turn"):
        session_of([])


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.integers(1, 100))
def test_a_percentile_is_the_smallest_that_so_many_do_not_exceed(values, percent):
    found = percentile(values, percent)
    assert found in values
    enough = [
        it for it in values if sum(one <= it for one in values) * 100 >= percent * len(values)
    ]
    assert found == min(enough)
