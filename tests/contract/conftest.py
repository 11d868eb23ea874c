"""What the contract tests share."""

import pytest


@pytest.fixture
def python_in_the_tree(python, monkeypatch, request):
    """Run code in a fresh interpreter that finds these tests, too."""
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    return python


@pytest.fixture
def dspy_program(python_in_the_tree, tmp_path):
    """Run a program about DSPy, with a cache of its own."""
    begin = "    from tests.contract.dspy_programs import *\n"

    def run(*parts):
        return python_in_the_tree("".join((begin, *parts)), DSPY_CACHEDIR=str(tmp_path / "cache"))

    return run
