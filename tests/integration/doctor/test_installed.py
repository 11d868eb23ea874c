"""Checks of what is installed: frameworks, parts of them, and packages that share a name."""

import pytest

from clew.core.frameworks import FRAMEWORKS
from clew.instrument.discovery import candidates

NAMES = {framework.name for framework in FRAMEWORKS}


def test_every_framework_is_reported_and_none_is_imported(doctor, tmp_path):
    for module in ("openai", "dspy"):
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").write_text("raise SystemExit('it was imported')")
    diagnosis = doctor("--timeout", "0")
    assert diagnosis.status == 0
    findings = diagnosis.found("framework")
    text = "".join(finding["about"] + finding["sentence"] for finding in findings)
    assert all(name in text for name in NAMES)
    assert {finding["severity"] for finding in findings} <= {"ok", "note"}
    assert {"clew", "opentelemetry-sdk", "openinference-instrumentation-openai"} <= set(
        diagnosis.data["versions"]
    )


def test_present_and_absent(doctor, install, install_instrumentor):
    install("maze", "1.5", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze>=1"])
    install_instrumentor("garden", requires=["garden>=2"])
    diagnosis = doctor()
    assert diagnosis.severity("framework", "maze") == "ok"
    assert diagnosis.says("framework", "maze 1.5", "waits for maze", about="maze")
    assert diagnosis.data["versions"]["maze"] == "1.5"
    assert diagnosis.severity("framework", "garden") == "note"
    assert diagnosis.says("framework", 'python -m pip install "garden>=2"', about="garden")
    assert diagnosis.status == 0


def test_a_version_that_is_not_supported(doctor, install, install_instrumentor):
    install("maze", "0.4", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze>=1"])
    diagnosis = doctor()
    assert diagnosis.status == 1
    assert diagnosis.severity("framework", "maze") == "error"
    assert diagnosis.says("framework", "maze 0.4", 'install "maze>=1"', about="maze")


def test_left_out_by_the_environment(doctor, install, install_instrumentor):
    install("maze", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze"])
    diagnosis = doctor(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="maze, requests")
    assert diagnosis.severity("framework", "maze") == "note"
    assert diagnosis.severity("all-disabled") is None
    diagnosis = doctor(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="*")
    assert (diagnosis.status, diagnosis.severity("all-disabled")) == (1, "error")


@pytest.mark.parametrize("complete", [False, True])
def test_a_framework_that_is_installed_in_part(doctor, tmp_path, complete):
    """Only an integration of a namespace package is installed."""
    folder = tmp_path / "llama_index" / ("core" if complete else "llms")
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (tmp_path / "llama_index" / "__init__.py").touch()  # Hides a complete installation.
    diagnosis = doctor()
    assert diagnosis.severity("half-installed", "llamaindex") == (None if complete else "warning")
    if not complete:
        assert diagnosis.says("half-installed", "llama_index.core", "pip install")


@pytest.mark.parametrize("namespace", [True, False])
def test_an_instrumentor_that_waits_for_a_namespace(
    doctor, tmp_path, install_instrumentor, namespace
):
    install_instrumentor("maze")  # Its metadata does not name what it instruments.
    (tmp_path / "maze").mkdir()
    (tmp_path / "maze" / ("north.py" if namespace else "__init__.py")).touch()
    diagnosis = doctor()
    assert diagnosis.severity("namespace-trigger", "maze") == ("warning" if namespace else None)
    if namespace:
        assert diagnosis.says("namespace-trigger", "import maze before instrument_all()")


def test_two_packages_with_an_instrumentor_of_the_same_name(doctor, install):
    assert doctor().found("shared-name", "openai") == []
    points = "[opentelemetry_instrumentor]\nopenai = its_openai:Instrumentor\nflask = its:Flask\n"
    install("opentelemetry-instrumentation-maze", entry_points=points)
    diagnosis = doctor()
    assert diagnosis.severity("shared-name") == "warning"
    assert diagnosis.says(
        "shared-name",
        "openinference-instrumentation-openai and opentelemetry-instrumentation-maze",
        "python -m pip uninstall opentelemetry-instrumentation-maze",
        about="openai",
    )


def test_frameworks_are_imported_with_the_option(doctor, install, install_instrumentor):
    install("maze", files={"maze/__init__.py": ""})
    install_instrumentor("maze", requires=["maze"], instrument="pass")
    install("garden", files={"garden/__init__.py": "raise KeyError('no way in')"})
    install_instrumentor("garden", requires=["garden"])
    disabled = ",".join(NAMES)
    diagnosis = doctor("--import", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled)
    assert diagnosis.severity("app-framework", "maze") == "ok"
    assert diagnosis.severity("app-framework", "garden") == "error"
    assert diagnosis.says("app-framework", "KeyError: 'no way in'", about="garden")
    assert diagnosis.found("app-armed") == diagnosis.found("app-calls") == []
    assert doctor().found("app-framework") == []


NOTHING = (
    "import importlib.abc, sys\n"
    """
class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
"""
)


@pytest.fixture
def without(tmp_path):
    """Make frameworks appear not to be installed: neither modules nor metadata are found."""

    def hide(*names):
        tops = {row.trigger.partition(".")[0] for row in FRAMEWORKS if row.name in names}
        (tmp_path / "sitecustomize.py").write_text(NOTHING.replace("{names}", repr(tops)))
        for row in candidates():
            if row.framework.name in names:
                for requirement in row.requirements:
                    folder = tmp_path / f"{requirement.name.replace('-', '_')}-0.dist-info"
                    folder.mkdir(exist_ok=True)
                    (folder / "METADATA").write_text(f"Name: {requirement.name}\n")

    return hide


def test_frameworks_that_are_not_installed_share_one_line(doctor, without):
    without(*(NAMES - {"openai"}))
    diagnosis = doctor()
    (line,) = [finding for finding in diagnosis.found("framework") if finding["about"] != "openai"]
    assert line["severity"] == "note"
    assert line["sentence"].startswith("not installed: ")
    assert all(name in line["sentence"] for name in NAMES - {"openai"})


@pytest.mark.parametrize("package", ["arize-phoenix-otel", "arize-otel"])
def test_auto_instrument_without_botocore(doctor, install, without, package):
    without("bedrock")
    assert doctor().found("auto-instrument") == []
    install(package)
    diagnosis = doctor()
    assert (diagnosis.status, diagnosis.severity("auto-instrument", package)) == (0, "warning")
    parts = ("register(auto_instrument=True)", "botocore", "instrument_all()")
    assert diagnosis.says("auto-instrument", *parts, about=package)


def test_auto_instrument_with_botocore(doctor, install, tmp_path):
    install("arize-phoenix-otel")
    (tmp_path / "botocore.py").touch()
    assert doctor().found("auto-instrument") == []


def test_no_framework_at_all_is_a_warning(doctor, without):
    without(*NAMES)
    diagnosis = doctor()
    (line,) = diagnosis.found("framework")
    assert line["severity"] == "warning"
    assert "no framework that can be traced is installed" in line["sentence"]
    assert "python -m pip install" in line["fix"]


def test_a_requested_framework_that_is_not_installed_is_an_error(doctor, without):
    without("dspy")
    diagnosis = doctor(CLEW_ONLY="dspy")
    assert (diagnosis.status, diagnosis.severity("framework", "dspy")) == (1, "error")
    assert diagnosis.says("framework", "CLEW_ONLY", "python -m pip install", about="dspy")


def test_left_out_by_clews_own_variables(doctor):
    diagnosis = doctor(CLEW_ONLY="openai,dspy", CLEW_EXCLUDE="dspy")
    (line,) = [
        finding for finding in diagnosis.found("framework") if "CLEW_ONLY" in finding["sentence"]
    ]
    assert all(name in line["sentence"] for name in NAMES - {"openai", "dspy"})
    assert diagnosis.says("framework", "left out by CLEW_EXCLUDE", about="dspy")
