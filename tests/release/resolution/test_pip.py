"""The base install resolves with the pip that Python ships with, whatever of OpenTelemetry is out.

OpenTelemetry releases its packages one after the other: those of the SDK within minutes, in the
order of the alphabet, and the instrumentation hours later or days.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.release.resolution.index import (
    CONVENTIONS,
    INSTRUMENTATION,
    LONG_AGO,
    SDK,
    Release,
    closure,
    made_up,
    released_together,
    write_index,
    write_wheel,
)

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))[
    "project"
]
BASE = PROJECT["dependencies"]
FIND = """
import ensurepip, pathlib
for it in (pathlib.Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"):
    print(it)
"""


def _pips():
    """Return the pip of this Python, and the others that Pythons beside it bring."""
    found = {}
    names = re.findall(r":: (3\.\d+)'", str(PROJECT["classifiers"]))
    for python in [sys.executable, *filter(None, (shutil.which(f"python{it}") for it in names))]:
        done = subprocess.run([python, "-c", FIND], capture_output=True, text=True, check=False)
        for wheel in done.stdout.split():
            found.setdefault(Path(wheel).name.split("-")[1], (python, wheel))
    return [
        pytest.param(
            version,
            *it,
            id=f"pip {version}",
            marks=pytest.mark.slow if it[0] != sys.executable else (),
        )
        for version, it in found.items()
    ]


pips = pytest.mark.parametrize(("version", "python", "wheel"), _pips())

PART_OF_EXPORTER = "opentelemetry-exporter-otlp-proto-common"
RELEASES = made_up()
LAST, LAST_TWO = RELEASES[-1:], RELEASES[-2:]


def _late(*names, of=LAST):
    return lambda name: [it for it in RELEASES if name not in names or it not in of]


def _ahead(*names, of=LAST):
    return lambda name: [it for it in RELEASES if name in names or it not in of]


STATES = {
    "the instrumentation is late": _late(INSTRUMENTATION),
    "the conventions are late": _late(CONVENTIONS),
    "the SDK is late by two": _late(SDK, of=LAST_TWO),
    "the conventions are late by two": _late(CONVENTIONS, of=LAST_TWO),
    "the instrumentation is ahead": _ahead(INSTRUMENTATION),
    "the conventions are ahead": _ahead(CONVENTIONS),
    "a part of the exporter is late by two": _late(PART_OF_EXPORTER, of=LAST_TWO),
}
FAST = 3
"""How many of these every Python tries; they take seconds each."""


def _index(folder, state, requirements):
    packages = closure(BASE)
    write_index(folder, packages, {name: state(name) for name in released_together(packages)})
    needs = [("Requires-Dist", it) for it in requirements]
    write_wheel(folder, [("Name", "clew"), ("Version", "1.0"), *needs])


def _resolve(python, wheel, folder):
    """Return the versions that pip would install of clew and what it needs; or what pip says."""
    report = folder / "report.json"
    wanted = ["--no-index", "--find-links", folder, "--dry-run", "--ignore-installed", "clew"]
    quiet = ["--isolated", "--no-cache-dir", "--disable-pip-version-check", "--report", report]
    done = subprocess.run(
        [python, f"{wheel}/pip", "install", "-q", *quiet, *wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return done.stderr
    found = [it["metadata"] for it in json.loads(report.read_text("utf-8"))["install"]]
    return {it["name"].lower(): it["version"] for it in found}


@pips
@pytest.mark.parametrize(
    "state",
    [
        pytest.param(state, id=name, marks=pytest.mark.slow if number >= FAST else ())
        for number, (name, state) in enumerate(STATES.items())
    ],
)
def test_the_base_install_is_of_one_recent_release(tmp_path, version, python, wheel, state):
    _index(tmp_path, state, BASE)
    found = _resolve(python, wheel, tmp_path)
    assert isinstance(found, dict), found
    assert found[INSTRUMENTATION] == found[CONVENTIONS]
    assert Release(found[SDK], found[CONVENTIONS]) in RELEASES
    assert LONG_AGO.stable not in found.values()


@pytest.mark.slow
@pips
def test_what_the_upper_bounds_are_for(tmp_path, version, python, wheel):
    if Version(version) >= Version("25.1"):
        pytest.skip("this pip finds a solution without them")
    without = [it.replace(",==1.*", "") for it in BASE]
    assert without != BASE
    _index(tmp_path, STATES["the conventions are late"], without)
    assert "ResolutionImpossible" in _resolve(python, wheel, tmp_path)


@pytest.mark.slow
@pips
def test_what_the_floor_of_the_instrumentation_is_for(tmp_path, version, python, wheel):
    without = [it for it in BASE if Requirement(it).name != INSTRUMENTATION]
    assert without != BASE
    _index(tmp_path, STATES["the instrumentation is late"], without)
    assert _resolve(python, wheel, tmp_path)[INSTRUMENTATION] == LONG_AGO.beta
