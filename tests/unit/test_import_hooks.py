"""Modules are hooked without waiting for other imports, and stay as they would be without."""

import importlib
import sys

import pytest

from clew.patching.import_hooks import when_imported
from clew.patching.undo import UndoStack


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a module in it, which are not imported yet."""
    folder = tmp_path / "a_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "a_module.py").write_text("LOADER = __loader__, __spec__.loader\nVALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "a_package.a_module"
    for name in ("a_package", "a_package.a_module"):
        sys.modules.pop(name, None)


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="there an import waits for that of the parent"
)
def test_a_module_that_two_threads_import_with_its_parent(python, tmp_path):
    """One imports the parent, the other one the module, as two first calls of OpenAI's SDK do."""
    folder = tmp_path / "a_package"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "import __main__\n__main__.begun.set()\n__main__.found.wait()\nimport colorsys\n"
    )
    (folder / "a_module.py").write_text("")
    said = python("""
        import sys, threading
        from clew.patching.import_hooks import when_imported
        from clew.patching.undo import UndoStack

        begun, found, hooked = threading.Event(), threading.Event(), []

        class Before:
            def find_spec(self, name, path, target):
                if name == "a_package.a_module":
                    found.set()

        when_imported("a_package.a_module", hooked.append, UndoStack("a test"))
        sys.meta_path.insert(0, Before())
        threads = [threading.Thread(target=__import__, args=(name,), daemon=True)
                   for name in ("a_package", "a_package.a_module")]
        threads[0].start()
        begun.wait(10)
        threads[1].start()
        for thread in threads:
            thread.join(10)
        print([thread.is_alive() for thread in threads], [it.__name__ for it in hooked])
        sys.stdout.flush()
        import os; os._exit(0)
    """)
    assert "[False, False] ['a_package.a_module']" in str(said)


def test_the_module_knows_its_own_loader_only(package):
    hooked = []
    when_imported(package, hooked.append, UndoStack("a test"))
    module = importlib.import_module(package)
    assert hooked == [module]
    for loader in (*module.LOADER, module.__loader__, module.__spec__.loader):
        assert type(loader) is importlib.machinery.SourceFileLoader


def test_what_is_undone_is_not_called(package):
    hooked, undo = [], UndoStack("a test")
    when_imported(package, hooked.append, undo)
    undo.undo()
    importlib.import_module(package)
    assert hooked == []


def test_a_module_that_fails_is_awaited_still(package, tmp_path):
    hooked, path = [], tmp_path / "a_package" / "a_module.py"
    text = path.read_text()
    path.write_text("raise ImportError")
    when_imported(package, hooked.append, UndoStack("a test"))
    with pytest.raises(ImportError):
        importlib.import_module(package)
    assert hooked == []
    path.write_text(text + "# so that it has another length\n")
    importlib.invalidate_caches()
    assert hooked == [importlib.import_module(package)]
