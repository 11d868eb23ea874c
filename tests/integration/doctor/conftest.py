"""Runs the real ``clew doctor`` in a process of its own, with or without an app."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.activation.conftest import install, install_instrumentor
from tests.integration.delivery.collectors import collecting, unused_port
from tests.support.providers import ProviderServer

__all__ = ["install", "install_instrumentor"]

NOWHERE = {"OTEL_TRACES_EXPORTER": "none"}


@dataclass
class Diagnosis:
    """What ``clew doctor`` reported."""

    status: int
    data: dict[str, Any]
    out: str
    err: str

    def found(self, check, about=None):
        """Return the findings of one check."""
        findings = self.data["findings"]
        return [
            finding
            for finding in findings
            if finding["check"] == check and about in {None, finding["about"]}
        ]

    def severity(self, check, about=None):
        """Return the severity of the only finding of this check, or None if there is none."""
        found = self.found(check, about)
        assert len(found) <= 1, found
        return found[0]["severity"] if found else None

    def says(self, check, *parts, about=None):
        """Assert that the finding of this check has all *parts* in its sentence or its fix."""
        (found,) = self.found(check, about)
        for part in parts:
            assert part in found["sentence"] + "\n" + found["fix"], found
        return True


@pytest.fixture
def make_environment(tmp_path):
    """Make an environment for the doctor in which modules in ``tmp_path`` are found first."""

    def make(**environment):
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return {**os.environ, "PYTHONPATH": path, "COLUMNS": "100", **environment}

    return make


@pytest.fixture
def clew(make_environment):
    """Run ``clew doctor`` and return the completed process."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "clew", "doctor", *arguments],
            env=make_environment(**environment),
            capture_output=True,
            encoding="utf-8",
            timeout=110,
            check=False,
        )

    return run


@pytest.fixture
def doctor(tmp_path, clew):
    """Run ``clew doctor --json`` and return its report."""

    def run(*arguments, **environment):
        report = tmp_path / "report.json"
        done = clew("--json", "-o", str(report), *arguments, **environment)
        written = report.read_text() if report.exists() else ""
        assert written, done.stderr
        return Diagnosis(done.returncode, json.loads(written), done.stdout, done.stderr)

    return run


@pytest.fixture
def app(tmp_path, doctor):
    """Run the doctor on an app that can call a provider; by default spans are not exported."""
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
def openai():
    """OpenAI's package; a test that needs it is skipped where it is not installed."""
    return pytest.importorskip("openai")


@pytest.fixture
def collector():
    """Run a collector that behaves as its first argument says: live, hanging, a status."""
    return collecting


@pytest.fixture
def dead_endpoint():
    """A URL on which nothing listens."""
    with unused_port() as url:
        yield url
