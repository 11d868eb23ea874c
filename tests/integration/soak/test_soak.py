"""The soak itself: with nothing wrong all counts are 0, and what is made wrong is counted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openai")
pytest.importorskip("soak", reason="The sdist has no soak.")

ROOT = Path(__file__).parents[3]
SHORT = ("--seed", "1", "--seconds", "60", "--actions", "15", "--frameworks", "openai")


def soak(*options):
    """Run it; return its exit code, its counts by name, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "soak", *SHORT, *options],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    said = done.stdout + done.stderr
    (line,) = re.findall(r"^[\d,]+ calls, .*$", done.stdout, re.MULTILINE) or [said]
    counted = (it.split() for it in line.replace(":", ",").split(", "))
    return done.returncode, {name: int(number.replace(",", "")) for number, name in counted}, said


def test_nothing_is_wrong():
    code, counts, said = soak("--only-process", "0")
    done = {name: counts.pop(name) for name in ("calls", "spans", "written")}
    assert (code, set(counts.values())) == (0, {0}), said
    assert done["calls"] > 40, said
    assert done["calls"] < done["written"] <= done["spans"], said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("defect", "counted"),
    [
        ("model", "wrong"),
        ("threads", "missing"),
        ("leak", "leaked"),
        ("unended", "unended"),
        ("store", "lost"),
        ("kill", "crashed"),
    ],
)
def test_what_is_made_wrong_is_counted(defect, counted):
    code, counts, said = soak("--processes", "1", "--defect", defect)
    assert code == 1, said
    assert counts[counted] > 0, said


def test_options_are_checked():
    done = subprocess.run(
        [sys.executable, "-m", "soak", "--frameworks", "openai,closedai"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "there is no framework closedai" in done.stderr
