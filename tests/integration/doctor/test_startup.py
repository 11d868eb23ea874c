"""Checks of distros and configurators, of what is switched off, and of threads."""

import subprocess
import sys
from pathlib import Path

import pytest

DISTRO = "[opentelemetry_distro]\n{0} = its_{0}:Distro\n"
CONFIGURATOR = "[opentelemetry_configurator]\n{0} = its_{0}:Configurator\n"


@pytest.mark.parametrize(
    ("kind", "points", "variable"),
    [
        ("distro", DISTRO, "OTEL_PYTHON_DISTRO"),
        ("configurator", CONFIGURATOR, "OTEL_PYTHON_CONFIGURATOR"),
    ],
)
def test_several_distros_or_configurators(doctor, install, kind, points, variable):
    diagnosis = doctor()
    assert diagnosis.severity(kind) in {None, "ok"}

    install("maze-distro", entry_points=points.format("maze"))
    install("garden-distro", entry_points=points.format("garden"))
    diagnosis = doctor()
    assert diagnosis.severity(kind) == "note"
    assert diagnosis.says(kind, "maze", "garden", "instead of clew's")

    chosen = doctor(**{variable: "garden"})
    assert chosen.severity(kind) == "note"
    assert chosen.says(kind, f"the {kind} garden (garden-distro), because {variable} names it")

    unknown = doctor(**{variable: "wall"})
    assert (unknown.status, unknown.severity(kind)) == (1, "error")
    assert unknown.says(kind, f"{variable}=wall", "garden")


def test_clews_distro_among_others(doctor, install, tmp_path):
    """With the name and the package that it has when it is installed."""
    points = DISTRO.format("maze")
    install("maze-distro", entry_points=points)
    (tmp_path / "clew-9.dist-info").mkdir()
    (tmp_path / "clew-9.dist-info" / "METADATA").write_text("Name: clew\nVersion: 9\n")
    (tmp_path / "clew-9.dist-info" / "entry_points.txt").write_text(
        "[opentelemetry_distro]\nclew = clew.instrument.distro:ClewDistro\n"
    )
    chosen = doctor(OTEL_PYTHON_DISTRO="clew")
    assert chosen.severity("distro") == "ok"
    other = doctor(OTEL_PYTHON_DISTRO="maze")
    assert other.severity("distro") == "note"
    assert other.says("distro", "OTEL_PYTHON_DISTRO=clew")
    unset = doctor()
    assert unset.severity("distro") == "note"
    assert unset.says("distro", "the distro maze (maze-distro), instead of clew's")


def test_the_sdk_is_switched_off(doctor):
    diagnosis = doctor(OTEL_SDK_DISABLED="true")
    assert (diagnosis.status, diagnosis.severity("sdk-disabled")) == (1, "error")
    assert doctor(OTEL_SDK_DISABLED="false").severity("sdk-disabled") is None


def test_threads_excluded_by_the_environment(doctor):
    diagnosis = doctor(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="requests,threading")
    assert diagnosis.severity("threads") == "warning"
    assert doctor(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="requests").severity("threads") is None


@pytest.mark.parametrize("threads", [True, False])
def test_threads_excluded_by_the_app(app, threads):
    diagnosis = app(f"import clew; clew.instrument_all(threads={threads})")
    assert diagnosis.severity("threads") == ("ok" if threads else "warning")


OTHER_DISTRO = """
from opentelemetry.instrumentation.distro import BaseDistro

class Distro(BaseDistro):
    def _configure(self, **_):
        print("maze")
"""


@pytest.mark.parametrize("chosen", ["", "clew", "maze"])
def test_the_distro_is_the_one_that_opentelemetry_loads(doctor, install, make_environment, chosen):
    install("maze-distro", files={"its_maze.py": OTHER_DISTRO}, entry_points=DISTRO.format("maze"))
    environment = {"OTEL_PYTHON_DISTRO": chosen} if chosen else {}
    (claim,) = doctor(**environment).found("distro")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, "-c", ""],
        env=make_environment(OTEL_TRACES_EXPORTER="none", **environment),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.strip() or "clew"
    assert f"uses the distro {loaded} (" in claim["sentence"]
