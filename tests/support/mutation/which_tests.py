"""A pytest plugin: coverage notes which test ran a line, and a file gets how long each took.

``CLEW_TEST_TIMES`` names the file.
"""

import json
import os
from pathlib import Path

import coverage
import pytest

_file = os.environ.get("CLEW_TEST_TIMES")  # The tests forget such settings.
_seconds: dict[str, float] = {}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    measured = coverage.Coverage.current()
    before = os.times()
    if measured is not None:
        measured.switch_context(item.nodeid)
    try:
        return (yield)
    finally:
        if measured is not None:
            measured.switch_context("")
        # Of the processor, its own and that of the programs it started.
        _seconds[item.nodeid] = sum(os.times()[:4]) - sum(before[:4])


def pytest_sessionfinish():
    if _file and _seconds:  # Else nothing was collected, and is measured the next time.
        Path(_file).write_text(json.dumps(_seconds))
