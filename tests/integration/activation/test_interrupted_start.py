"""A start that is interrupted, in whichever function of clew's, has changed nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs" / "interrupted_start.py"
SETTINGS = {
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
    "CLEW_EXCLUDE": "bedrock,langchain,llamaindex,mistral,dspy",
    "CLEW_PROPAGATE_TO": "*.mine.example",
    "CLEW_SESSION_ID": "of the environment",
    "CLEW_SESSION_SAMPLE_RATE": "0.5",
    "OTEL_TRACES_EXPORTER": "none",
}
"""With these, a start does all that it can do."""
LOCK = "instrument.start_lock.StartLock"
NOT_UNDONE = {
    ("instrument.api.instrument_all", "return"): "the start is over",
    ("instrument.api._start_or_reuse", "return"): "the start is over",
    ("instrument.api._all_or_nothing", "return"): "between the last step and `_running`",
    ("instrument.repairs.openai.left_helpers.repair", "return"): "before its undo is kept",
    (f"{LOCK}.acquire", "return"): "the lock is held, and the `try` has not begun",
    (f"{LOCK}.release", "call"): "as with any lock, its release must not be interrupted",
    (f"{LOCK}.release", "return"): "the start is over",
}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_interrupted_start_changes_nothing():
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(cases) > 200
    # A function whose result is cached is not called again.
    assert all(case["stopped"] for case in cases if case["when"] == "call")
    functions = {case["function"] for case in cases}
    steps = {
        "aws_lambda.__init__._wrap_on_end",
        "instrument.activation.Activator._instrument",
        "logging.providers._wrap_on_emit",
        "propagation.install.install_propagator",
    }
    assert steps <= functions, "a start no longer does all that it could"
    left = [
        case
        for case in cases
        if (case["function"], case["when"]) not in NOT_UNDONE
        and (case["left"] or case["left by uninstrument_all"])
    ]
    assert left == []
