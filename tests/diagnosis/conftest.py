"""Runs the real command in a process of its own, alone or on an app."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest

from tests.activation.conftest import install, install_instrumentor
from tests.delivery.collectors import collecting, refusing
from tests.providers import ProviderServer

__all__ = ["install", "install_instrumentor"]

NOWHERE = {"OTEL_TRACES_EXPORTER": "none"}


@dataclass
class Diagnosis:
    """What the doctor says."""

    status: int
    data: dict[str, Any]
    out: str
    err: str

    def found(self, check, about=None):
        """Return the findings of one check."""
        findings = self.data["findings"]
        return [it for it in findings if it["check"] == check and about in {None, it["about"]}]

    def severity(self, check, about=None):
        """Return how bad the only finding of this check is, or None where there is none."""
        found = self.found(check, about)
        assert len(found) <= 1, found
        return found[0]["severity"] if found else None

    def says(self, check, *parts, about=None):
        """See that the finding of this check names all *parts*, in its sentence or its fix."""
        (found,) = self.found(check, about)
        for part in parts:
            assert part in found["sentence"] + "\n" + found["fix"], found
        return True


@pytest.fixture
def surroundings(tmp_path):
    """The environment of the doctor, in which what lies in ``tmp_path`` is found first."""

    def make(**environment):
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return {**os.environ, "PYTHONPATH": path, "COLUMNS": "100", **environment}

    return make


@pytest.fixture
def clew(surroundings):
    """Run ``clew doctor`` and return how the process ended."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "clew", "doctor", *arguments],
            env=surroundings(**environment),
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def doctor(tmp_path, clew):
    """Run ``clew doctor --json`` and return what it says."""

    def run(*arguments, **environment):
        report = tmp_path / "report.json"
        done = clew("--json", "-o", str(report), *arguments, **environment)
        assert report.exists(), done.stderr
        return Diagnosis(done.returncode, json.loads(report.read_text()), done.stdout, done.stderr)

    return run


@pytest.fixture
def app(tmp_path, doctor):
    """Run the doctor on an app, which has a provider to call; by default its spans go nowhere."""
    with ProviderServer() as server:

        def run(code, *arguments, command=(sys.executable,), options=(), **environment):
            file = tmp_path / "app.py"
            file.write_text(textwrap.dedent(code))
            key = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": "key"}
            environment = {**NOWHERE, **key, **environment}
            words = [*command, str(file), *arguments]
            return doctor(*options, "--", *words, **environment)

        yield run


@pytest.fixture
def collector():
    """Run a collector in one mood."""
    return collecting


@pytest.fixture
def nobody():
    with refusing() as url:
        yield url
