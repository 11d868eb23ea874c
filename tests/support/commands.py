"""Runs commands that have to succeed."""

import subprocess
from collections.abc import Sequence
from typing import Any


def run_command(
    command: Sequence[str], *, timeout: float = 100, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run *command* to its end; fail with its output unless it exits with 0."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done
