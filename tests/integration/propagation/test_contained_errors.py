"""An error in clew breaks no pool of processes and no fork."""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from clew import stats
from clew.core import containment
from clew.patching.undo import UndoStack
from clew.propagation import fork, pools


@pytest.fixture
def contained(monkeypatch):
    monkeypatch.setattr(containment, "reraise", False)
    monkeypatch.setattr(containment, "_logged", set())


def failing(*_args, **_kwargs):
    raise ZeroDivisionError


@pytest.mark.usefixtures("contained")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(
    ("module", "name"),
    [(pools, "carry"), (fork, "flush_when_ended"), (fork, "import_module")],
    ids=["carry", "flush_when_ended", "import_module"],
)
def test_an_error_is_contained(monkeypatch, module, name, recwarn):
    initializer = pools.carry_initializer()
    monkeypatch.setitem(sys.modules, "requests", sys)
    monkeypatch.setattr(module, name, failing)
    provider = type("Provider", (), {})()
    fork.support_child_processes(provider, UndoStack("undoing what a test did"))
    before = sum(stats().errors.values())
    try:
        with ProcessPoolExecutor(
            1, mp_context=get_context("fork"), initializer=initializer
        ) as pool:
            assert pool.submit(abs, -42).result(60) == 42
    finally:
        pools.uninstrument_pools()
    counted = sum(stats().errors.values()) - before
    assert counted or name == "flush_when_ended", "which the child counts"
    assert provider


@pytest.mark.usefixtures("contained")
def test_an_error_does_not_break_the_import_of_multiprocessing():
    before = stats().errors.get("preparing the child processes of multiprocessing", 0)
    fork._children.hook_multiprocessing(None)
    assert stats().errors["preparing the child processes of multiprocessing"] == before + 1
