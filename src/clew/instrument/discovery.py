"""Finds the installed instrumentors, the versions each supports, and the modules to wait for.

All of it is read from package metadata. Nothing here imports a framework or an instrumentor.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import metadata
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

from clew.core import install_command
from clew.core.frameworks import FRAMEWORKS, Framework, Layer
from clew.core.installed_version import version_of

_GROUP = "openinference_instrumentor"
_ENTRY_POINTS = "entry_points.txt"
_TOP_LEVEL = "top_level.txt"
_EDITABLE = ("__editable__", "_editable_impl_")
"""How the modules begin that find a package which is installed editable."""
_NAMES = frozenset(framework.name for framework in FRAMEWORKS)
_IGNORED_MODULES = {"tests", "test", "docs", "examples", "scripts", "benchmarks"}


class Candidate(NamedTuple):
    """A framework that may be activated, with what the installed packages say about it."""

    framework: Framework
    triggers: tuple[str, ...]
    """The modules to wait for: after the import of any of them it can be activated."""
    requirements: tuple[Requirement, ...]
    """The versions that its instrumentor supports: the ``instruments`` extra of its package."""
    found: bool = True
    """Whether the package that holds the instrumentor is installed."""

    def conflict(self) -> tuple[Requirement, str] | None:
        """Return a requirement that an installed package does not meet, and its version."""
        for requirement in self.requirements:
            version = version_of(requirement.name)
            if version and not requirement.specifier.contains(version, prereleases=True):
                return requirement, version
        return None

    def present(self) -> bool:
        """Whether the framework is installed."""
        return any(map(_exists, self.triggers))

    def versions(self) -> str:
        """Return what is installed of it, to be read by people: ``openai 2.54.0``."""
        found = (
            (requirement.name, version_of(requirement.name)) for requirement in self.requirements
        )
        return ", ".join(f"{name} {version}" for name, version in found if version)

    def pip_line(self) -> str:
        """Return the command that installs the framework.

        For one of the table it is clew's own extra, whose versions clew is tested with: an
        instrumentor may support older ones, too. For any other, the first requirement is the
        framework itself; the others that an ``instruments`` extra names are optional companions.
        """
        if self.framework.layer is not Layer.UNKNOWN:
            return install_command.pip_line(self.framework.name)
        first = self.requirements[:1]
        wanted = f"{first[0].name}{first[0].specifier}" if first else self.framework.trigger
        return f'python -m pip install "{wanted}"'


def candidates() -> list[Candidate]:
    """Return the frameworks of the table, then one for every other installed instrumentor."""
    points: dict[str, _Instrumentor] = {}
    for found in _installed():
        points.setdefault(found.point.name, found)
    rows = [_row(framework, points.pop(framework.entry_point, None)) for framework in FRAMEWORKS]
    return rows + [_other(point) for _, point in sorted(points.items())]


@cache
def instrumentors() -> frozenset[str]:
    """Return the instrumentors that `candidates` finds, as entry points name them: module:class."""
    return frozenset(found.point.value for found in _installed())


class _Instrumentor(NamedTuple):
    """An installed instrumentor, and the lines of its package about what it requires."""

    point: metadata.EntryPoint
    requires: tuple[str, ...]


def _installed() -> Iterator[_Instrumentor]:
    """Yield the instrumentors that are installed.

    ``metadata.entry_points`` reads the entry points and the name of every package, and takes three
    times as long: a start of clew that finds six instrumentors would mostly be that.
    """
    for package in metadata.distributions():
        text = package.read_text(_ENTRY_POINTS)
        if not text or _GROUP not in text:
            continue
        # A message: where it has no name, `get` says so. The package importlib_metadata, which
        # adds a finder when it is imported, has None for a package without metadata.
        described: Any = package.metadata
        requires: Sequence[str] = ()
        if described is not None:
            if _is_hidden(described.get("Name"), text):
                continue
            requires = described.get_all("Requires-Dist") or package.requires or ()
        for point in package.entry_points:
            if point.group == _GROUP:
                yield _Instrumentor(point, tuple(requires))


def _is_hidden(name: str, entry_points: str) -> bool:
    """Whether a package with the same name is before this one on the path, and counts instead."""
    try:
        return metadata.distribution(name).read_text(_ENTRY_POINTS) != entry_points
    except (metadata.PackageNotFoundError, ValueError):  # It has no name, or is found otherwise.
        return False


def _row(framework: Framework, found: _Instrumentor | None) -> Candidate:
    return Candidate(
        framework=framework,
        triggers=(framework.trigger,),
        requirements=_instruments(found) if found else (),
        found=found is not None,
    )


def _other(found: _Instrumentor) -> Candidate:
    point, requirements = found.point, _instruments(found)
    names = [requirement.name for requirement in requirements]
    triggers = tuple(dict.fromkeys(module for name in names for module in top_modules(name)))
    if not triggers and (not names or any(map(version_of, names))):
        # An instrumentor that does not declare what it instruments is most likely named after it,
        # and so is one for a package that is installed, but lists no modules.
        triggers = (point.name,)
    # A name in the table means that framework, even if another entry point has the same name.
    module = point.value.partition(":")[0]
    framework = Framework(
        name=module if point.name in _NAMES else point.name,
        entry_point=point.name,
        trigger=triggers[0] if triggers else point.name,
        instrumentor=point.value,
        layer=Layer.UNKNOWN,
    )
    return Candidate(framework=framework, triggers=triggers, requirements=requirements)


def _instruments(instrumentor: _Instrumentor) -> tuple[Requirement, ...]:
    found = []
    for text in instrumentor.requires:
        if "instruments" not in text:
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker and requirement.marker.evaluate({"extra": "instruments"}):
            found.append(requirement)
    return tuple(found)


def top_modules(distribution: str) -> Iterator[str]:
    """Yield the topmost module of each package that *distribution* installs.

    A namespace package is never imported as a file, so no import hook sees it: not ``google`` is
    yielded, but ``google.genai``. A package that is installed editable lists no files of its own,
    but most then name their modules in ``top_level.txt``.
    """
    try:
        package = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return
    found = list(_modules_of(package.files or []))
    yield from found or [
        name
        for name in (package.read_text(_TOP_LEVEL) or "").split()
        if name not in _IGNORED_MODULES
    ]


def _modules_of(files: Iterable[PurePosixPath]) -> Iterator[str]:
    packages: dict[str, set[PurePosixPath]] = {}
    for file in files:
        folder = PurePosixPath(file).parent
        if file.name == "__init__.py" and ".." not in folder.parts:
            packages.setdefault(folder.parts[0], set()).add(folder)
        elif not folder.parts and file.suffix == ".py" and not file.name.startswith(_EDITABLE):
            yield file.stem
    for top, folders in sorted(packages.items()):
        if top in _IGNORED_MODULES:
            continue
        depth = min(len(folder.parts) for folder in folders)
        yield from sorted(".".join(f.parts) for f in folders if len(f.parts) == depth)


def _exists(module: str) -> bool:
    """Whether *module* can be imported; its parents are not imported to find out."""
    if module in sys.modules:
        return True
    top, *rest = module.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return False
    name = top
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return False
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return spec is not None
