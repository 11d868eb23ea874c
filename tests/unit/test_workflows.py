"""What runs elsewhere: the release starts only by hand, and every session that is named exists."""

import ast
import re
import shlex
from pathlib import Path

import pytest

import clew

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
RELEASE = yaml.safe_load((WORKFLOWS / "release.yml").read_text())
CI = yaml.safe_load((WORKFLOWS / "ci.yml").read_text())
TRIGGER = True  # YAML reads the key "on" as a truth value.


def sessions():
    """The names of the functions in the noxfile that are sessions."""
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    return {
        it.name
        for it in tree.body
        if isinstance(it, ast.FunctionDef)
        and any("session" in ast.unparse(mark) for mark in it.decorator_list)
    }


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def called(workflow):
    """The sessions that are run by a workflow."""
    found = set()
    for step in steps(workflow):
        if match := re.search(r"nox -s ([^$\"]+)", step.get("run", "")):
            found.update(name.rstrip("-") for name in shlex.split(match[1]))
    for job in workflow["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        found.update(name.partition("(")[0] for name in matrix.get("session", ()))
    return found


def test_a_release_starts_by_hand_and_only_where_it_is_switched_on():
    assert RELEASE[TRIGGER] == {"workflow_dispatch": None}
    assert "vars.RELEASES == 'on'" in RELEASE["jobs"]["build"]["if"]
    assert RELEASE["jobs"]["publish"]["needs"] == "build"
    assert RELEASE["jobs"]["docs"]["needs"] == "publish"


def test_a_release_may_do_only_what_each_job_needs():
    assert RELEASE["permissions"] == {}
    assert RELEASE["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert RELEASE["jobs"]["publish"]["environment"] == "pypi"
    granted = [job["permissions"].get("contents", "none") for job in RELEASE["jobs"].values()]
    assert "write" not in granted
    assert "secrets." not in (WORKFLOWS / "release.yml").read_text()


def test_a_release_names_each_action_by_its_commit():
    actions = [step["uses"] for step in steps(RELEASE) if "uses" in step]
    assert len(actions) >= 8
    for action in actions:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action


def test_the_version_is_found_where_the_release_looks_for_it():
    line = f'__version__ = "{clew.__version__}"'
    assert line in (ROOT / "src" / "clew" / "__init__.py").read_text().splitlines()


@pytest.mark.parametrize("workflow", [RELEASE, CI], ids=["release", "ci"])
def test_the_sessions_exist(workflow):
    assert called(workflow)
    assert called(workflow) <= sessions()


def test_what_is_run_before_a_release():
    assert called(RELEASE) == {"audit", "docs", "package"}
    assert "audit" in called(CI)
