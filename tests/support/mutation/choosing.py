"""Chooses which mutants are tried, and which tests are run on each."""

import json
import random
from collections import defaultdict
from collections.abc import Container, Iterable
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

from coverage import CoverageData

from tests.support.mutation.changes import Mutant, mutants

PACKAGES = ("context", "spans", "store", "sessions")
"""What is mutated; the signals are a part of sessions."""
APART = ("engines",)
"""What is not: questions on engines are tested by nox -s engines, in other environments."""


class Place(NamedTuple):
    """One mutant of one module."""

    module: str
    """The path of the module, from the folder of the packages."""
    mutant: Mutant

    @property
    def name(self) -> str:
        return f"{self.module}:{self.mutant.name}"


def all_places(source: Path, only: str = "") -> list[Place]:
    """Return every mutant of every module in `PACKAGES` whose path starts with *only*."""
    paths = sorted(chain.from_iterable((source / "clew" / it).rglob("*.py") for it in PACKAGES))
    return [
        Place(str(path.relative_to(source)), mutant)
        for path in paths
        if not set(APART) & set(path.parts)
        and str(path.relative_to(source)).startswith(f"clew/{only}")
        for mutant in mutants(path.read_text())
    ]


def package_of(module: str) -> str:
    """Return the package that a module is counted with."""
    parts = Path(module).parts
    return "signals" if "signals" in parts else parts[1]


def sample(places: list[Place], share: float, seed: int) -> list[Place]:
    """Return the *share* of each package's mutants that *seed* draws, the packages in turns."""
    drawn = defaultdict(list)
    for place in places:
        drawn[package_of(place.module)].append(place)
    for package, found in drawn.items():
        random.Random(f"{seed} {package}").shuffle(found)
        drawn[package] = found[: round(len(found) * share)]
    # In turns, so that of each package about the same share is done whenever time is up.
    ranked = [
        (rank / len(found), place) for found in drawn.values() for rank, place in enumerate(found)
    ]
    return [place for _, place in sorted(ranked, key=lambda pair: (pair[0], pair[1].name))]


class Tests:
    """Which tests run a line, and how long each takes."""

    def __init__(
        self, measured: Iterable[Path], times: Iterable[Path], modules: Container[str]
    ) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(lambda: 1.0)
        for path in times:
            self._seconds.update(json.loads(path.read_text()))
        self._lines: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for path in measured:
            self._read(path, modules)

    def _read(self, path: Path, modules: Container[str]) -> None:
        data = CoverageData(str(path))
        data.read()
        for file in data.measured_files():
            module = file.rpartition("/src/")[2]
            if module not in modules:
                continue
            lines = self._lines[module]
            for line, contexts in data.contexts_by_lineno(file).items():
                lines[line].update(name for name in contexts if name)

    def seconds(self, names: Iterable[str]) -> float:
        return sum(self._seconds[name] for name in names)

    def of(self, place: Place) -> list[str]:
        """Return the tests that run the mutant, those first that will find it soonest.

        A line that is only run by an import belongs to every test of its module.
        """
        lines = self._lines[place.module]
        names = lines.get(place.mutant.line, set())
        if not names and place.mutant.line in lines:
            names = set().union(*lines.values())
        by_file = defaultdict(list)
        for name in sorted(names, key=lambda name: (self._seconds[name], name)):
            by_file[name.partition("::")[0]].append(name)
        # One of each file of tests, in turns: they look at different things.
        turns = zip_longest(*sorted(by_file.values(), key=len))
        return [name for turn in turns for name in turn if name is not None]
