"""clew's log goes to standard error as Python's would, and leaves nothing in its buffer."""

import pytest

SAYS = """
import logging, sys
from clew.core.containment import logger
import clew.core.containment
{before}
logger.warning("clew: %s, and é", "hello")
logger.info("clew: not this")
{after}
"""
FULL = """
import os
os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
"""
FLUSHED = """
try:
    sys.stderr.flush()
except OSError:
    print("something was left")
"""


@pytest.mark.parametrize(
    ("before", "times"),
    [
        ("", 1),
        ("logging.basicConfig()", 1),
        ("logger.addHandler(logging.StreamHandler())", 1),
        ("logger.addHandler(logging.NullHandler())", 0),
        ("logging.getLogger().addHandler(logging.NullHandler())", 0),
        ("logging.getLogger().addHandler(logging.NullHandler()); logger.propagate = False", 1),
        ("logging.lastResort = None", 0),
        ("logger.setLevel('ERROR')", 0),
        ("logging.disable()", 0),
        ("sys.stderr = None", 0),
        ("clew.core.containment.use_last_resort(logger)", 1),
    ],
)
def test_a_line_is_written_once_where_somebody_wants_it(python, before, times):
    done = python(SAYS.format(before=before, after=""))
    assert done.stderr.count("clew: hello, and é\n") == times
    assert "not this" not in done.stderr


def test_what_somebody_has_put_in_its_place_gets_the_line(python):
    done = python(SAYS.format(before="sys.stderr = sys.stdout", after=""))
    assert done.stdout == "clew: hello, and é\n"


def test_what_cannot_be_written_is_not_left_for_the_end(python):
    done = python(SAYS.format(before=FULL, after=FLUSHED), PYTHONUNBUFFERED="")
    assert done.stdout == ""


def test_a_line_that_cannot_be_made_is_told_as_pythons_own_would(python):
    done = python(SAYS.format(before="", after="logger.warning('%d', 'no number')"))
    assert "--- Logging error ---" in done.stderr
    assert "TypeError" in done.stderr
