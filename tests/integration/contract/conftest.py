"""Fixtures of the contract tests."""

import os

import pytest
from opentelemetry.sdk.trace import TracerProvider

from clew import instrument_all, uninstrument_all
from tests.integration.contract.defects import SpanRecorder
from tests.support.providers.fixtures import bedrock, mistral, openai_client, server

__all__ = ["bedrock", "mistral", "openai_client", "server"]


@pytest.fixture
def spans():
    """Instrument every framework, and record the spans."""
    recorder = SpanRecorder()
    provider = TracerProvider()
    provider.add_span_processor(recorder)
    instrument_all(tracer_provider=provider)
    yield recorder
    uninstrument_all()


@pytest.fixture
def python_in_the_tree(python, monkeypatch, request):
    """Run code in a new interpreter that can import the package `tests`."""
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath), prepend=os.pathsep)
    return python


@pytest.fixture
def dspy_program(python_in_the_tree, tmp_path):
    """Run a DSPy program with its own cache, in a new interpreter."""
    begin = "    from tests.integration.contract.dspy_programs import *\n"

    def run(*parts):
        return python_in_the_tree("".join((begin, *parts)), DSPY_CACHEDIR=str(tmp_path / "cache"))

    return run
