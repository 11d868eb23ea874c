"""``clew settings --json``: every variable, for programs, without secrets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")


def test_every_setting_is_listed_and_no_secret_is_shown(clew, path):
    wrong = {"CLEW_EXIT_TIMEOUT": "soon", "CLEW_ONLY": "opneai"}
    done = clew("settings", "--json", CLEW_USER_ID_KEY="s3cret", **wrong)
    settings = {it["name"]: it for it in json.loads(done.stdout)}
    assert "s3cret" not in done.stdout
    assert settings["CLEW_USER_ID_KEY"]["set"]
    assert settings["CLEW_STORE"]["value"] == str(path)
    assert settings["CLEW_EXIT_TIMEOUT"]["fault"]
    assert "did you mean 'openai'?" in settings["CLEW_ONLY"]["fault"]
    assert not settings["CLEW_EXCLUDE"]["set"]


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--help"], ["settings"]], ids=" ".join)
def test_what_cannot_be_written_is_told_in_a_line(arguments, unbuffered):
    command = [sys.executable, "-m", "clew", *arguments]
    set_for_it = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with FULL.open("w") as full:
        done = subprocess.run(
            command, check=False, env=set_for_it, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr == "Error: cannot write: No space left on device\n"


def test_a_propagator_that_is_not_installed_stops_no_command_that_needs_none(clew):
    assert "evaluate" in clew("--help", OTEL_PROPAGATORS="b3").stdout
    told = clew("settings", CLEW_ONLY="opneai", CLEW_COST="1", OTEL_PROPAGATORS="b3").stdout
    assert "cannot be used: CLEW_ONLY: 'opneai' is not a framework" in told
