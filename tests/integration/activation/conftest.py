"""Fixtures that install packages for a test, frameworks and instrumentors, as pip would."""

import textwrap

import pytest

from tests.support.collector import Collector

INSTRUMENTOR = """
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

class Instrumentor(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return ()

    def _instrument(self, **options):
        {instrument}

    def _uninstrument(self, **options):
        print("uninstrumented")
"""


@pytest.fixture
def install(tmp_path):
    """Install a package into ``tmp_path``: its files, and metadata with entry points."""

    def install(name, version="1.0", *, files=(), requires=(), entry_points=""):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        if requires:
            metadata += ["Provides-Extra: instruments"]
            metadata += [f"Requires-Dist: {it}; extra == 'instruments'" for it in requires]
        (folder / "METADATA").write_text("\n".join(metadata) + "\n")
        (folder / "entry_points.txt").write_text(textwrap.dedent(entry_points))
        for file, content in dict(files).items():
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(content))
        record = [f"{file},," for file in dict(files)]
        (folder / "RECORD").write_text("\n".join(record) + "\n")

    return install


@pytest.fixture
def install_instrumentor(install):
    """Install an instrumentor in a package of its own, as OpenInference's are."""

    def install_instrumentor(name, *, requires=(), instrument="print('instrumented')"):
        install(
            f"openinference-instrumentation-{name}",
            files={f"its_{name}.py": INSTRUMENTOR.format(instrument=instrument)},
            requires=requires,
            entry_points=f"""
                [openinference_instrumentor]
                {name} = its_{name}:Instrumentor
            """,
        )

    return install_instrumentor


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector
