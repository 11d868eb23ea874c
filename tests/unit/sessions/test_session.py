"""The turns of a session are a sequence like others."""

from hypothesis import given
from hypothesis import strategies as st

from clew.sessions.session import StoredTurns


@given(number=st.integers(0, 7), data=st.data())
def test_slices_are_those_of_a_tuple(number, data):
    turns = StoredTurns(number, lambda skipped, wanted: iter(range(skipped, skipped + wanted)))
    wanted = data.draw(st.slices(number))
    assert turns[wanted] == tuple(range(number))[wanted]


def test_all_turns_can_be_had_backwards():
    turns = StoredTurns(4, lambda skipped, wanted: iter(range(skipped, skipped + wanted)))
    assert turns[::-1] == (3, 2, 1, 0)
    assert turns[3:0:-2] == (3, 1)
