"""Runs the examples one after the other in one session, and shows the spans of that session."""

import sys
from collections.abc import Collection, Iterator
from contextlib import redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from io import StringIO
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from clew.cli.demo import render
from clew.cli.demo.replay_server import EXAMPLES, replayed
from clew.cli.demo.spans import Memory, Spans
from clew.core.frameworks import FRAMEWORKS
from clew.core.install_command import pip_line
from clew.core.wording import number_of
from clew.instrument.api import instrument_all
from clew.instrument.report import Report, State

SESSION, USER = "chat-42", "ada"
_ABOUT = """\
A customer of a bicycle shop, Ada, talks with one assistant after the other, each made with another
framework. People wrote what the models say; the frameworks, their requests and the spans are real.
"""


def run_conversation(names: Collection[str] = ()) -> Iterator[str]:
    """Run the examples of *names*, or of all installed frameworks, in one session of one user.

    Yields the parts of the output. Exits with a message if a span has no session, or a framework
    is not installed.
    """
    memory = Memory()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory.exporter))
    trace.set_tracer_provider(provider)
    report = instrument_all()
    installed = list(_installed(report))
    chosen = [name for name in installed if not names or name in names]
    if not chosen or set(names) - set(chosen):
        sys.exit(f"{report}\n\n{_missing(names or [row.name for row in FRAMEWORKS], installed)}")
    yield _ABOUT
    for name in chosen:
        yield f"{f' {name} ':─^78}\n{_run_example(name).strip()}\n"
    yield f"{report}\n"
    yield from session_of(memory)


def session_of(spans: Spans) -> Iterator[str]:
    """Yield the lines that show the session in *spans*; exit if a span has no session."""
    yield "\n".join(render.session(spans.of_session(SESSION)))
    if strays := spans.without_session():
        names = sorted({span.name for span in strays})
        sys.exit(f"{number_of(len(strays), 'span')} without a session: {names}")


def _installed(report: Report) -> Iterator[str]:
    for row in FRAMEWORKS:
        if report[row.name].state in {State.ACTIVE, State.WAITING}:
            yield row.name


def _missing(names: Collection[str], installed: Collection[str]) -> str:
    extras = [name for name in names if name not in installed]
    return f"Cannot be shown here: {','.join(extras)}. Try: {pip_line(*extras)}"


def _run_example(name: str) -> str:
    """Run one example with its recorded responses, and return what it printed."""
    output = StringIO()
    with replayed(name), redirect_stdout(output):
        _load(name).main(SESSION, USER)
    return output.getvalue()


def _load(name: str) -> Any:
    spec = spec_from_file_location(f"example_{name}", EXAMPLES / name / "app.py")
    if spec is None or spec.loader is None:
        message = f"there is no example {name}"
        raise ImportError(message)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
