"""An undo runs every step, the last one first, whatever the others do."""

import threading

import pytest

from clew import stats
from clew.patching.undo import UndoStack


def test_the_last_step_is_run_first_and_each_only_once():
    ran = []
    undo = UndoStack("undoing", lambda: ran.append(1), lambda: ran.append(2))
    undo.add(lambda: ran.append(3))
    undo.undo()
    undo.undo()
    assert ran == [3, 2, 1]


@pytest.mark.usefixtures("contained")
def test_a_step_that_raises_is_counted_and_the_others_run():
    ran = []
    before = stats().errors.get("undoing in a test", 0)
    undo = UndoStack("undoing in a test", lambda: ran.append(1), lambda: 1 / 0)
    undo.undo()
    assert ran == [1]
    assert stats().errors["undoing in a test"] == before + 1


def test_a_step_that_is_interrupted_does_not_stop_the_others():
    def interrupted():
        raise KeyboardInterrupt

    ran = []
    undo = UndoStack("undoing", lambda: ran.append(1), interrupted)
    with pytest.raises(KeyboardInterrupt):
        undo.undo()
    assert ran == [1]


def test_a_step_that_is_added_afterwards_is_run_at_once():
    ran = []
    undo = UndoStack("undoing")
    undo.undo()
    undo.add(lambda: ran.append(1))
    assert ran == [1]
    assert not undo.is_open


def test_a_step_that_is_added_during_the_undo_is_run():
    ran, undoing, added = [], threading.Event(), threading.Event()

    def wait():
        undoing.set()
        added.wait(10)

    undo = UndoStack("undoing", wait)
    thread = threading.Thread(target=undo.undo)
    thread.start()
    undoing.wait(10)
    undo.add(lambda: ran.append(1))
    assert ran == [1]
    added.set()
    thread.join()
