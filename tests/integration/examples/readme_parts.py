"""Generates parts of an example's README from its output and its spans."""

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from clew.cli.demo import render
from clew.cli.demo.spans import Span
from tests.integration.examples.run_example import ROOT, Run

_PART = re.compile(r"(<!-- generated: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def readme_of(name: str) -> Path:
    """Return the path of an example's README."""
    return ROOT / "examples" / name / "README.md"


def with_parts(text: str, parts: dict[str, str]) -> str:
    """Return the README's *text* with its generated *parts* replaced."""
    missing = parts.keys() ^ {found[2] for found in _PART.finditer(text)}
    assert not missing, f"parts that are not there, or not known: {missing}"
    return _PART.sub(lambda found: found[1] + parts[found[2]] + found[3], text)


def without_clew(app: str) -> str:
    """Return the app's code without clew, as `opentelemetry-instrument` runs it."""
    for line, instead in (
        ("from clew import instrument_all, using_session\n", ""),
        ("instrument_all()\n\n", ""),
        ("\nfrom opentelemetry import trace\n", _IMPORTS),
        ("using_session(session, user_id=user)", _IDS),
    ):
        assert app.count(line) == 1, f"{line!r} is not in the app, or not once"
        app = app.replace(line, instead)
    return re.sub(r"\n\n\n\n+", "\n\n\n", app)


def parts_of(name: str, run: Run, without: Callable[[str], str] = without_clew) -> dict[str, str]:
    """Return the generated parts: the output, the sessions, and the difference without clew."""
    app = (ROOT / "examples" / name / "app.py").read_text()
    before, after = app.splitlines(), without(app).splitlines()
    changes = difflib.unified_diff(before, after, "app.py", "no_clew_line.py", n=0, lineterm="")
    kept = [line for line in changes if not line.startswith("@@")]
    return {**output_parts(run), "no clew line": _fenced("diff", kept)}


def output_parts(run: Run, facts: render.Facts = render.facts) -> dict[str, str]:
    """Return the output, and the sessions with *facts* of each span."""
    return {
        "output": _fenced("text", _lines(run.output)),
        "session": _fenced("text", list(_sessions(run.spans, facts))[1:]),
    }


def _sessions(spans: Sequence[Span], facts: render.Facts) -> Iterator[str]:
    for session in sorted({it.session or "" for it in spans}):
        yield ""
        yield from render.session([it for it in spans if (it.session or "") == session], facts)


_IMPORTS = """
from openinference.instrumentation import using_attributes
from opentelemetry import trace
"""
_IDS = "using_attributes(session_id=session, user_id=user)"


def _fenced(language: str, lines: list[str]) -> str:
    return "\n".join([f"```{language}", *lines, "```", ""])


def _lines(output: str) -> list[str]:
    return [line.rstrip() for line in output.strip().splitlines()]
