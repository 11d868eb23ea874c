"""After `uninstrument_all()` the process is as it was: compared object by object."""

import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from clew.core.frameworks import FRAMEWORKS
from tests.support.commands import run_command

PROGRAM = Path(__file__).parent / "programs" / "undone.py"
ROOT = Path(__file__).parents[3]
INSTALLED = [it.name for it in FRAMEWORKS if find_spec(it.trigger.partition(".")[0])]
STAYS = {
    # Whatever imports something.
    r"-> builtins\.module": "a package names its modules when they are imported",
}
"""What differs afterwards, as a pattern, and why it may."""


def undone(*frameworks):
    done = run_command(
        [sys.executable, str(PROGRAM), *frameworks],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=280,
    )
    return json.loads(done.stdout.splitlines()[-1])


def unexpected(differences):
    lines = [f"{place} | {change}" for place, change in sorted(differences.items())]
    return [line for line in lines if not any(re.search(it, line) for it in STAYS)]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("frameworks", [*([it] for it in INSTALLED), INSTALLED], ids=" ".join)
def test_the_process_is_as_it_was(frameworks):
    if not frameworks:
        pytest.skip("no framework is installed")
    result = undone(*frameworks)
    assert result["traced"] == result["with session"] >= len(frameworks)
    assert result["traced afterwards"] == 0
    assert result["objects"] > 10_000
    assert unexpected(result["differences"]) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(("undo", "flushed"), [("", ["flushed"]), ("uninstrument_all()", [])])
def test_a_child_process_is_flushed_only_while_clew_is_on(python, undo, flushed):
    done = python(f"""
        import multiprocessing, os
        from opentelemetry import trace
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
        from clew import instrument_all, uninstrument_all

        class Processor(SpanProcessor):
            def force_flush(self, timeout_millis=None):
                if os.getpid() != parent:
                    os.write(1, b"flushed")
                return True

        parent = os.getpid()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(Processor())
        trace.set_tracer_provider(provider)
        instrument_all()
        {undo}
        child = multiprocessing.get_context("fork").Process(target=int)
        child.start()
        child.join(30)
        assert child.exitcode == 0
    """)
    assert done.stdout.split() == flushed
