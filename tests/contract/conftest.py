"""What the contract tests share."""

import pytest


@pytest.fixture
def python_in_the_tree(python, monkeypatch, request):
    """Run code in a fresh interpreter that finds these tests, too."""
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    return python
