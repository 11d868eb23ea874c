"""Repeated `instrument_all()` and `uninstrument_all()` leave no objects behind."""

import pytest

_COUNTED = """
        import gc, threading
        from clew import instrument_all, uninstrument_all

        def objects():
            gc.collect()
            return len(gc.get_objects())

        def cycle():
            instrument_all()
            uninstrument_all()

        for _ in range(3):
            cycle()
        before = objects()
        for _ in range(20):
            cycle()
        grown = objects() - before
        assert grown < 20, grown
"""


@pytest.mark.parametrize(
    "loaded", ["", "openai", "langchain_core.runnables", "openai, langchain_core"]
)
def test_no_objects_are_left_behind(python, loaded):
    for module in filter(None, loaded.split(", ")):
        pytest.importorskip(module)
    python((f"\n        import {loaded}" if loaded else "") + _COUNTED)


def test_a_module_that_loads_during_an_undo_is_undone_too(python, install):
    """One thread acts on a module that was loaded while another one undoes everything."""
    install("part", files={"part.py": "class Part:\n    def call(self): pass\n"})
    python("""
        import threading
        from clew.patching.import_hooks import ImportCallbacks
        from clew.patching.undo import UndoStack
        acting, undone, took_back = threading.Event(), threading.Event(), []

        def act(part):
            acting.set()
            undone.wait(20)
            return [lambda: took_back.append(part)]

        undo = UndoStack("testing")
        parts = ImportCallbacks("testing", undo)
        parts.when_loaded("part:Part", act)
        importer = threading.Thread(target=lambda: __import__("part"))
        importer.start()
        acting.wait(20)
        undo.undo()
        undone.set()
        importer.join(20)
        import part
        assert took_back == [part.Part], took_back
        from clew import stats
        assert not stats().errors, stats().errors
    """)
