"""The instrumentors are found as ``importlib.metadata`` finds them, which takes longer."""

import sys
from importlib import metadata

import pytest

from clew.instrument.discovery import candidates

GROUP = "openinference_instrumentor"
POINTS = f"[console_scripts]\nmaze = maze:main\n[{GROUP}]\nmaze = maze.tracing:Instrumentor\n"
REQUIRES = 'Requires-Dist: maze-core>=1; extra == "instruments"\n'


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a package into a folder of its own, first on the path."""

    def install(folder, name, entry_points=None, described=""):
        written = (name or "nameless").replace("-", "_")
        info = tmp_path / folder / f"{written}-1.dist-info"
        info.mkdir(parents=True)
        named = f"Name: {name}\n" if name else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\n{named}Version: 1\n{described}")
        if entry_points:
            (info / "entry_points.txt").write_text(entry_points)
        monkeypatch.setattr(sys, "path", [str(tmp_path / folder), *sys.path])

    return install


def found():
    return {item.framework.entry_point: item for item in candidates() if item.found}


def by_metadata():
    return {point.name: point.value for point in metadata.entry_points(group=GROUP)}


def test_they_are_the_same():
    assert {name: item.framework.instrumentor for name, item in found().items()} == by_metadata()


@pytest.mark.parametrize("name", ["maze-tracing", "Maze.Tracing", None])
def test_one_of_another_package_is_found_with_what_it_instruments(install, name):
    install("one", name, POINTS, REQUIRES)
    assert by_metadata()["maze"] == "maze.tracing:Instrumentor"
    (requirement,) = found()["maze"].requirements
    assert requirement.name == "maze-core"


def test_one_that_was_installed_as_an_egg_is_found_with_what_it_instruments(tmp_path, monkeypatch):
    info = tmp_path / "maze_tracing.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: maze-tracing\nVersion: 1\n")
    (info / "entry_points.txt").write_text(POINTS)
    (info / "requires.txt").write_text("base\n\n[instruments]\nmaze-core>=1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (requirement,) = found()["maze"].requirements
    assert str(requirement.specifier) == ">=1"


@pytest.mark.filterwarnings("error")
def test_one_without_metadata_is_found_without_a_warning(tmp_path, monkeypatch):
    info = tmp_path / "maze_tracing-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert found()["maze"].requirements == ()
    others = pytest.importorskip("importlib_metadata")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, others.MetadataPathFinder()])
    assert found()["maze"].requirements == ()


@pytest.mark.parametrize("finder", ["the package's", "Python's"])
@pytest.mark.parametrize("metadata_text", [None, "Metadata-Version: 2.1\nName: maze-core\n"])
def test_a_framework_that_says_no_version_has_none(
    install, tmp_path, monkeypatch, metadata_text, finder
):
    install("one", "maze-tracing", POINTS, REQUIRES)
    info = tmp_path / "one" / "maze_core-1.dist-info"
    info.mkdir()
    if metadata_text:
        (info / "METADATA").write_text(metadata_text)
    if finder == "the package's":
        others = pytest.importorskip("importlib_metadata")
        monkeypatch.setattr(sys, "meta_path", [others.MetadataPathFinder(), *sys.meta_path])
    item = next(it for it in candidates() if it.framework.entry_point == "maze")
    assert item.conflict() is None
    assert not item.versions()


@pytest.mark.parametrize("name", ["maze-tracing", "Maze_Tracing"])
def test_a_package_hides_those_of_its_name_behind_it_on_the_path(install, name):
    install("one", "maze-tracing", POINTS)
    install("two", name)
    assert "maze" not in by_metadata()
    assert "maze" not in found()


def test_the_group_must_be_a_group_and_not_only_a_word(install):
    install("one", "maze-tracing", f"[console_scripts]\n{GROUP} = maze:main\n")
    assert found().keys() == by_metadata().keys()
    assert GROUP not in found()


FILES = {
    "a module": ("maze_core/__init__.py,,\n", None, ("maze_core",)),
    "editable": ("__editable__.maze_core.pth,,\n", None, ("maze",)),
    "editable, with a finder": ("__editable___maze_finder.py,,\n", None, ("maze",)),
    "editable, by hatchling": ("_editable_impl_maze.py,,\n", None, ("maze",)),
    "editable, with its modules": ("a.pth,,\n", "labyrinth\ntests\n", ("labyrinth",)),
    "no list of files": (None, None, ("maze",)),
}


@pytest.mark.parametrize(("record", "top_level", "expected"), FILES.values(), ids=FILES)
def test_the_modules_of_a_framework_that_lists_none(install, tmp_path, record, top_level, expected):
    install("one", "maze-tracing", POINTS, REQUIRES)
    install("two", "maze-core")
    info = tmp_path / "two" / "maze_core-1.dist-info"
    for name, text in {"RECORD": record, "top_level.txt": top_level}.items():
        if text is not None:
            (info / name).write_text(text)
    if record is not None:  # A file that is listed, but does not exist, counts for nothing.
        file = info.parent / record.partition(",")[0]
        file.parent.mkdir(exist_ok=True)
        file.touch()
    assert found()["maze"].triggers == expected


def test_a_framework_that_is_not_installed_has_no_modules(install):
    install("one", "maze-tracing", POINTS, REQUIRES)
    assert found()["maze"].triggers == ()
