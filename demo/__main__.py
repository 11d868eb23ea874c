"""Hold the conversation in one session, and show what was traced of it."""

import logging
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from io import StringIO
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from clew import Report, State, instrument_all
from clew.frameworks import FRAMEWORKS
from demo import show
from demo.spans import Memory, Spans
from examples.stand_in import ROOT, replayed

SESSION, USER = "chat-42", "ada"


def main() -> None:
    """Carry one user's conversation through the examples of whatever is installed."""
    memory = Memory()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory.exporter))
    trace.set_tracer_provider(provider)
    report = instrument_all()
    for name in _here(report):
        said = _converse(name)
        sys.stdout.write(f"{f' {name} ':─^78}\n{said.strip()}\n\n")
    sys.stdout.write(f"{report}\n\n")
    _show(memory)


def _show(spans: Spans) -> None:
    """Show the session, read back from wherever its spans are kept."""
    for line in show.session(spans.of_session(SESSION)):
        sys.stdout.write(f"{line}\n")
    if strays := spans.without_session():
        sys.exit(f"{len(strays)} spans carry no session: {sorted({it.name for it in strays})}")


def _here(report: Report) -> Iterator[str]:
    for row in FRAMEWORKS:
        if report[row.name].state in {State.ACTIVE, State.WAITING}:
            yield row.extra


def _converse(name: str) -> str:
    """Run one example on its recorded exchanges; return what it printed."""
    said = StringIO()
    with replayed(name), redirect_stdout(said):
        _load(name).main(SESSION, USER)
    return said.getvalue()


def _load(name: str) -> Any:
    spec = spec_from_file_location(f"example_{name}", ROOT / "examples" / name / "app.py")
    if spec is None or spec.loader is None:
        message = f"there is no example {name}"
        raise ImportError(message)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main()
