"""Runs a suite with clew; and without it those tests that fail, to see whose fault that is."""

import json
import os
import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).with_name("plugins")
_LIMIT = 900
"""Seconds; many times what the longest suite takes."""
_LIMIT_OF_A_TEST = 300


def run_both(suite, made, own_ids=()):
    """Run the tests in the folder *suite*; return the results without clew, and with it.

    What passes with clew, or is skipped, is not run once more without it: that takes as long.
    """
    options = ["-p", "use_clew", *(f"--without-session={name}" for name in own_ids)]
    between = _Run(suite, made / "between.json", ["tests", *options]).outcomes()
    failed = [
        name for name, (outcome, _) in between.items() if outcome not in {"passed", "skipped"}
    ]
    again = _Run(suite, made / "plain.json", failed).outcomes() if failed else {}
    return [between | again, between]


class _Run:
    def __init__(self, suite, report, options):
        self.report = report
        self.output = report.with_suffix(".txt")
        plugins = ["-p", "outcomes", "--outcomes", str(report), "-p", "no:cacheprovider"]
        plugins.append(f"--timeout={_LIMIT_OF_A_TEST}")
        # Its own configuration, and no file of bytecode beside what was downloaded.
        environment = {"PYTHONPATH": str(PLUGINS), "PYTHONDONTWRITEBYTECODE": "1"}
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", *plugins, *options],
                cwd=suite,
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def outcomes(self):
        try:
            self.process.wait(_LIMIT)
        finally:
            self.process.kill()
            self.process.wait()
        # 1 means that tests failed; some do.
        assert self.process.returncode in {0, 1}, self.output.read_text()[-3000:]
        return json.loads(self.report.read_text())
