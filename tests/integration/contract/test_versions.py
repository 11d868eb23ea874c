"""Each repair states the versions that it was made for, and is skipped with others."""

import re
import tomllib
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from pkgutil import walk_packages

import pytest
from packaging.requirements import Requirement

from clew.instrument import repairs
from tests.integration.doctor.conftest import clew, doctor, make_environment

__all__ = ["clew", "doctor", "make_environment"]

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = [it for extra in PROJECT["optional-dependencies"].values() for it in extra]
LOWEST = {
    requirement.name: re.search(r">=([^,]+)", str(requirement.specifier))[1]
    for requirement in map(Requirement, [*PROJECT["dependencies"], *EXTRAS])
}
REPAIRS = [
    it.name.removeprefix(f"{repairs.__name__}.")
    for it in walk_packages(repairs.__path__, f"{repairs.__name__}.")
    if not it.ispkg and it.name.count(".") > repairs.__name__.count(".") + 1  # In a folder.
]


@pytest.mark.parametrize("name", REPAIRS)
def test_repair_fits_the_lowest_supported_and_the_installed_versions(name):
    made_for = import_module(f"clew.instrument.repairs.{name}").MADE_FOR
    assert made_for
    for requirement in map(Requirement, made_for):
        bounds = {it.operator for it in requirement.specifier}
        assert bounds == {">=", "<"}, "a range has two ends"
        if requirement.name in LOWEST:
            assert requirement.specifier.contains(LOWEST[requirement.name])
    assert repairs.unmet_requirement(made_for) is None


@pytest.fixture
def fake_version(tmp_path):
    """Return a function that makes a package appear as another version to new processes."""

    def fake(package, version):
        try:
            metadata = distribution(package)
        except PackageNotFoundError:
            pytest.skip(f"{package} is not installed")
        folder = tmp_path / f"{package.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        text = re.sub(r"(?m)^Version: .*$", f"Version: {version}", metadata.read_text("METADATA"))
        (folder / "METADATA").write_text(text)
        (folder / "entry_points.txt").write_text(metadata.read_text("entry_points.txt"))

    return fake


MISTRAL = "openinference-instrumentation-mistralai"
PROGRAM = """
    from clew import instrument_all
    report = instrument_all()
    import mistralai.client
    from openinference.instrumentation.mistralai._chat_wrapper import _WithMistralAI
    assert report["mistral"].state.value == "active", report
    print(hasattr(_WithMistralAI._finalize_response, "__wrapped__"))
"""


@pytest.mark.parametrize(("version", "is_repaired"), [(None, "True"), ("9.0", "False")])
def test_repair_is_skipped_silently_for_another_version(python, fake_version, version, is_repaired):
    pytest.importorskip("mistralai")
    if version:
        fake_version(MISTRAL, version)
    done = python(PROGRAM)
    assert (done.stdout.strip(), done.stderr) == (is_repaired, "")


def test_doctor_notes_a_skipped_repair(doctor, fake_version):
    pytest.importorskip("mistralai")
    assert doctor().found("repairs") == []
    fake_version(MISTRAL, "9.0")
    diagnosis = doctor()
    assert diagnosis.severity("repairs") == "note"
    assert diagnosis.says("repairs", "mistral.streams", f"made for {MISTRAL}<3,>=2.2.2", "9.0")
    assert diagnosis.status == 0
