"""Fixtures of the contract tests."""

import pytest


@pytest.fixture
def python_in_the_tree(python, monkeypatch, request):
    """Run code in a new interpreter that can import the package `tests`."""
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    return python


@pytest.fixture
def dspy_program(python_in_the_tree, tmp_path):
    """Run a DSPy program with its own cache, in a new interpreter."""
    begin = "    from tests.contract.dspy_programs import *\n"

    def run(*parts):
        return python_in_the_tree("".join((begin, *parts)), DSPY_CACHEDIR=str(tmp_path / "cache"))

    return run
