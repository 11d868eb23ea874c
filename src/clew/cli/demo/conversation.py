"""Runs the examples one after the other in one session, and shows it from the store."""

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from clew.cli import _terminal
from clew.cli._breaks import where_it_broke
from clew.cli._conversation import turn_lines
from clew.cli.demo import render
from clew.cli.demo.replay_server import EXAMPLES, replayed
from clew.cli.demo.spans import span_of
from clew.core.frameworks import FRAMEWORKS
from clew.core.install_command import pip_line
from clew.core.wording import number_of
from clew.export.delivery_processor import Delivery
from clew.export.store_exporter import StoreExporter
from clew.instrument.api import instrument_all
from clew.instrument.report import Report, State
from clew.sessions.model import Turn
from clew.sessions.scoring import told
from clew.sessions.words import turns_of
from clew.store.database import connect
from clew.store.reader import spans_after
from clew.store.record import SpanRecord

SESSION, USER = "chat-42", "ada"
_ABOUT = """\
A customer of a bicycle shop, Ada, talks with one assistant after the other, each made with another
framework. People wrote what the models say; the frameworks, their requests and the spans are real.
"""
_RUN = "service.instance.id"
"""The attribute by which the spans of this run are told from others in the store."""


def run_conversation(names: Collection[str], store: Path, *, trees: bool) -> Iterator[str]:
    """Run the examples of *names*, or of all installed frameworks, in one session of one user.

    Its spans are put into the store at that path. Yields the parts of the output, with the spans of
    one turn, or of all as *trees*. Exits with a message if a span has no session, or a framework is
    not installed.
    """
    run = uuid4().hex
    provider = TracerProvider(resource=Resource.create({"service.name": "clew demo", _RUN: run}))
    with closing(connect(store, create=True)) as connection:
        (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM span").fetchone()
        provider.add_span_processor(Delivery([StoreExporter(store)]))
        trace.set_tracer_provider(provider)
        report = instrument_all()
        installed = list(_installed(report))
        chosen = [name for name in installed if not names or name in names]
        if not chosen or set(names) - set(chosen):
            missing = _missing(names or [row.name for row in FRAMEWORKS], installed)
            sys.exit(f"{report}\n\n{missing}")
        yield _ABOUT
        for name in chosen:
            yield f"{f' {name} ':─^78}\n{_run_example(name).strip()}\n"
        yield f"{report}\n"
        provider.force_flush()
        provider.shutdown()
        stored = (record for _, record in spans_after(connection, last, sys.maxsize))
        records = [it for it in stored if it.resource.attributes.get(_RUN) == run]
    yield from session_of(records, trees=trees)


def session_of(records: Sequence[SpanRecord], *, trees: bool = True) -> Iterator[str]:
    """Yield what was said, and the spans of it; exit if a span has no session."""
    in_session = [it for it in records if it.attributes.get("session.id") == SESSION]
    said = "\n".join(_said(in_session))
    yield f"{' what was said ':─^78}\n\n{said}\n"
    turns = _turns(in_session)
    broke = where_it_broke(told(turns), turns, _terminal.width(of_text=True))
    yield "\n".join([f"{' where it broke ':─^78}", "", *broke, ""])
    lines = list(render.session(list(map(span_of, in_session)), word="trace"))
    second_turn = [index for index, line in enumerate(lines) if not line][1:2]
    if second_turn and not trees:
        lines[second_turn[0] :] = ["", "The other traces: clew demo --spans"]
    yield "\n".join([f"{' how it was recorded ':─^78}", "", *lines])
    if strays := [it for it in records if "session.id" not in it.attributes]:
        names = sorted({it.name for it in strays})
        sys.exit(f"{number_of(len(strays), 'span')} without a session: {names}")


def _said(records: Sequence[SpanRecord]) -> Iterator[str]:
    """Yield the lines of the conversation."""
    yield click.style(f"Session {SESSION} · user {USER}", bold=True)
    width = _terminal.width(of_text=True)
    for number, turn in enumerate(_turns(records), 1):
        yield ""
        yield from turn_lines(turn, f"Turn {number}", full=False, width=width)


def _turns(records: Sequence[SpanRecord]) -> list[Turn]:
    """Return the turns in which something was said, in their order."""
    traces: dict[bytes, list[SpanRecord]] = {}
    for record in sorted(records, key=lambda it: it.start):
        traces.setdefault(record.trace_id, []).append(record)
    turns = [turn for spans in traces.values() for turn in turns_of(spans)]
    shown = [turn for turn in turns if turn.spoken or turn.errors]
    return sorted(shown, key=lambda it: (it.start, it.trace_id, it.root_id))


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
