"""The example `evaluate` as its README says: its conversations, its judge, and the gate."""

import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from clew import sessions
from clew.evaluations import current
from tests.integration.examples.readme_parts import readme_of, with_parts
from tests.integration.examples.run_example import ROOT
from tests.landing.calls import installed

_METRICS = ("-m", "annoyed", "-m", "right_order_rate", "-m", "resolved_rate")
_OTHER_IN_EACH_RUN = (
    (re.compile(r"^\d{4}-\d\d-\d\d .*\n", re.MULTILINE), ""),
    (re.compile(r" · \d\d:\d\d:\d\d · [^·\n]+ ·"), " ·"),
    (re.compile(r"\(span [0-9a-f]{16}\)"), "(span …)"),
)


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """Run commands where the conversations were held and evaluated."""
    if not installed("openai"):
        pytest.skip("openai is not installed here")
    folder = tmp_path_factory.mktemp("evaluate") / "evaluate"
    shutil.copytree(ROOT / "examples" / "evaluate", folder, ignore=shutil.ignore_patterns(".clew"))
    kept = {"PATH", "SYSTEMROOT", "TMPDIR", "VIRTUAL_ENV"}
    variables = {name: value for name, value in os.environ.items() if name in kept}

    def run(*command):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env={**variables, "TZ": "UTC", "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return SimpleNamespace(status=done.returncode, output=done.stdout, errors=done.stderr)

    held = run("shop.py", "--replay")
    assert (held.status, held.output) == (0, "20 conversations held\n"), held.errors
    judged = run("-m", "clew", "evaluate")
    assert judged.status == 0, judged.errors
    run.folder = folder
    return run


def test_everything_is_held_and_judged(commands):
    with sessions.open(commands.folder / ".clew" / "sessions.db") as store:
        assert len(store.list()) == 20
        outcomes = [it for it in current(store, name="outcome") if it.annotator_kind == "LLM"]
        assert len(outcomes) == 20
        assert len(current(store, name="right_order")) == 20
        worst = store.list(order_by="worst")[:2]
        assert {it.id.rpartition("-")[2] for it in worst} == {"1.1"}
        assert store.get("delivery-1.1").outcome == "no"
    again = commands("-m", "clew", "evaluate")
    assert re.search(r"^outcome +0 +0 +0 +20 ", again.output, re.MULTILINE), again.output


def test_the_gate_lets_the_better_release_through(commands):
    codes = {
        release: commands("-m", "clew", "check", "--metadata", f"release={release}").status
        for release in ("1.0", "1.1", "1.2")
    }
    assert codes == {"1.0": 0, "1.1": 1, "1.2": 2}  # There is no release 1.2.


def test_the_readme_shows_what_happens(commands, request):
    compared = commands("-m", "clew", "compare", "--by", "metadata.release", *_METRICS)
    checked = commands("-m", "clew", "check", "--metadata", "release=1.1")
    broken = commands("-m", "clew", "sessions", "delivery-1.1")
    text = broken.output
    for pattern, instead in _OTHER_IN_EACH_RUN:
        text = pattern.sub(instead, text)
    parts = {"compare": compared.output, "check": checked.output, "break": text}
    assert all(parts.values()), (compared.errors, checked.errors, broken.errors)
    file = readme_of("evaluate")
    shown = {name: f"```text\n{text.rstrip()}\n```\n" for name, text in parts.items()}
    now = with_parts(file.read_text(), shown)
    if request.config.getoption("--write-examples", default=False):
        file.write_text(now)
    assert file.read_text() == now, "update it: nox -s examples"


def test_without_a_key(commands):
    done = commands("shop.py")
    assert done.status == 1
    assert "--replay" in done.errors
