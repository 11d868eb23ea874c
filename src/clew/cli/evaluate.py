"""``clew evaluate``: lets evaluators look at the sessions in the store, at what is new to them."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from clew.cli import _data, _figures, _terminal
from clew.cli._evaluators import find_evaluators
from clew.cli._lookup import stored_user
from clew.cli._options import (
    any_store_option,
    copied,
    duration,
    filter_options,
    json_option,
    searched_in,
)
from clew.cli._store import open_engine
from clew.cli._table import Column, table
from clew.core.wording import number_of
from clew.evaluations.on_engines import why_not_shared
from clew.evaluations.running.loop import let_block
from clew.evaluations.running.runner import checked, nanoseconds
from clew.evaluations.running.runs import Progress, Run
from clew.evaluations.running.watching import Watch
from clew.evaluations.running.work import Limits
from clew.sessions.engines.location import shown, window_of
from clew.sessions.store import SessionStore

if TYPE_CHECKING:
    from clew.evaluations.running.places import Place

_COLUMNS = (
    Column("EVALUATOR", shortest=12),
    Column("MADE", right=True),
    Column("UNKNOWN", right=True, needed=3),
    Column("FAILED", right=True, alarming=True),
    Column("FRESH", right=True, needed=2),
    Column("NOT QUIET", right=True, needed=1),
    Column("COST", right=True, needed=4),
)
_SHOWN_FAILURES = 10
_SECONDS_BETWEEN_LINES = 0.1
_QUIET_WATCHED = timedelta(seconds=60)
_POSITIVE = click.FloatRange(min=0, min_open=True)
_Wanted = tuple[str, ...] | dict[str, Any] | None
_SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

_HELP = """Let evaluators look at the sessions in the store.

EVALUATOR: a module or a file, and what is to be found in it; without that, all evaluators in it. If
none is named, they are those of [tool.clew] evaluators in pyproject.toml.

Only what is new is looked at: what an evaluator has not judged yet, or not since the session went
on, or not in the present version of the evaluator. Each verdict is kept as it is made.

\b
    clew evaluate app/evals.py:resolved              everything that is new to it
    clew evaluate app.evals --since 1d --max-cost 2  of the last day, for two dollars at most
    clew evaluate --watch                            whenever a session has been quiet for a minute
"""


@click.command(help=_HELP, short_help="Let evaluators look at sessions.")
@click.argument("evaluators", nargs=-1, metavar="[EVALUATOR]...")
@any_store_option
@json_option
@click.option("--session", "ids", metavar="ID", multiple=True, help="Only this one, or these.")
@filter_options
@click.option("--limit", type=click.IntRange(min=1), help="Only so many, those used last.")
@click.option("--again", is_flag=True, help="Also look at what was judged before.")
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C, as sessions come and go on.")
@click.option(
    "--quiet",
    metavar="TIME",
    callback=duration,
    help="Only sessions that ended so long ago: 60s, 5m.  [default: 60s with --watch]",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Calls at a time.",
)
@click.option("--rate", type=_POSITIVE, help="Calls in a second, at most.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="If a provider is busy or away.",
)
@click.option("--max-cost", type=_POSITIVE, metavar="DOLLARS", help="Stop before it costs more.")
def command(
    *,
    evaluators: tuple[str, ...],
    store: Path | str,
    as_json: bool,
    ids: tuple[str, ...],
    limit: int | None,
    again: bool,
    watch: bool,
    quiet: timedelta | None,
    concurrency: int,
    rate: float | None,
    retries: int,
    max_cost: float | None,
    **filters: Any,
) -> None:
    """Evaluate sessions, and print what came of it."""
    if watch and again:
        message = "--again looks at everything once, --watch at what is new: give one of them"
        raise click.UsageError(message)
    limits = Limits(concurrency, rate, retries, max_cost)
    found = checked(find_evaluators(evaluators), limits)
    wanted = _wanted(ids, {**filters, "limit": limit})
    if quiet is None:
        quiet = _QUIET_WATCHED if watch else timedelta(0)
    line = _Line()

    async def run(place: "Place", sessions: _Wanted) -> tuple[Run, int]:
        let_block(limits.concurrency)
        watched = Watch(
            place,
            found,
            limits,
            sessions=sessions,
            quiet_ns=nanoseconds(quiet),
            progress=line if line.is_shown else None,
        )
        with _until_signalled(watched, line) as status:
            try:
                if watch:
                    if line.is_shown:
                        _terminal.write(f"Watching {_name(store)}; Ctrl-C ends it.", err=True)
                    await watched.until_stopped(
                        lambda run: _tell(run, line, as_json=as_json, indent=None),
                        lambda: _terminal.write(f"Waiting for {_name(store)}.", err=True),
                    )
                else:
                    await watched.once(again=again)
            except asyncio.CancelledError:
                _tell(watched.run, line, as_json=as_json)
                _leave(status[0])
            if not watch:
                _tell(watched.run, line, as_json=as_json)
        return watched.run, status[0]

    with _place(store) as place:
        wanted = _in_time(store, place, wanted)
        done, status = asyncio.run(run(place, _with_user(place, wanted, watch=watch)))
    if done.stopped and not status:
        _terminal.write(f"Stopped: {done.stopped}", err=True)
    if status or done.failed:
        raise SystemExit(status or 1)


@contextmanager
def _place(store: Path | str) -> Iterator["Place"]:
    """Open what was named: a file, an engine with clew's tables, or a copy of another engine."""
    if isinstance(store, Path):
        yield store
        return
    with open_engine(store) as engine:
        if engine.is_shared:
            yield engine
            return
    path = copied(store)
    why = why_not_shared(shown(store))
    _terminal.write(f"What evaluators say stays in a copy, {path}. On the engine: {why}", err=True)
    yield path


def _wanted(ids: tuple[str, ...], filters: dict[str, Any]) -> _Wanted:
    given = {name: value for name, value in filters.items() if value is not None}
    if ids and given:
        message = f"--session names sessions; leave out {', '.join(f'--{it}' for it in given)}"
        raise click.UsageError(message)
    return ids or given or None


def _in_time(store: Path | str, place: "Place", wanted: _Wanted) -> _Wanted:
    """Return what is *wanted* of a copy, which has what was copied before, too."""
    if isinstance(store, Path) or not isinstance(place, Path) or isinstance(wanted, tuple):
        return wanted
    return searched_in(window_of(store), wanted or {}) or None


def _with_user(place: "Place", wanted: _Wanted, *, watch: bool) -> _Wanted:
    """Return what is *wanted*, with the user's id as it is stored."""
    if not isinstance(wanted, dict) or "user" not in wanted:
        return wanted
    if not isinstance(place, Path):
        return {**wanted, "user": stored_user(place, wanted["user"])}
    if watch and not place.exists():
        return wanted
    with SessionStore(place) as opened:
        return {**wanted, "user": stored_user(opened, wanted["user"])}


def _name(store: Path | str) -> str:
    return str(store) if isinstance(store, Path) else shown(store)


class _Line:
    """One line on a terminal that says how far it is."""

    def __init__(self) -> None:
        self.is_shown = sys.stderr.isatty()
        self._written = 0.0

    def __call__(self, progress: Progress) -> None:
        if monotonic() - self._written < _SECONDS_BETWEEN_LINES:
            return
        self._written = monotonic()
        parts = [
            f"{progress.done:,} of {number_of(progress.total, 'session')}",
            number_of(progress.made, "verdict"),
        ]
        if progress.failed:
            parts.append(f"{progress.failed:,} failed")
        if progress.cost:
            parts.append(_figures.cost(progress.cost))
        click.echo(f"\r\x1b[K{' · '.join(parts)}", nl=False, err=True)

    def clear(self) -> None:
        """Remove it, so that something else can be written."""
        if self.is_shown and self._written:
            click.echo("\r\x1b[K", nl=False, err=True)


@contextmanager
def _until_signalled(watch: Watch, line: _Line) -> Iterator[list[int]]:
    """Stop at a signal, even where a shell has told the process to ignore it; at the second, end.

    The list contains the status to exit with.
    """
    loop, task, status = asyncio.get_running_loop(), asyncio.current_task(), [0]

    def stop(number: int) -> None:
        if status[0] and task is not None:
            task.cancel()
            return
        status[0] = 128 + number
        watch.stop(_SIGNALS[signal.Signals(number)])
        if line.is_shown:
            line.clear()
            message = "Stopping: what has begun is finished and kept. Ctrl-C again leaves it."
            _terminal.write(message, err=True)

    def signalled(number: int, _: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop, number)

    before = {number: signal.signal(number, signalled) for number in _SIGNALS}
    try:
        yield status
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(status: int) -> NoReturn:
    """End the process. A function that runs in a thread cannot be ended, and would be awaited."""
    if not status:  # SystemExit in a task of the evaluator's own, which asyncio lets through.
        _terminal.write("Stopped: an evaluator has ended the event loop", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 1)


def _tell(run: Run, line: _Line, *, as_json: bool, indent: int | None = 2) -> None:
    """Print what came of a run, and on standard error what failed."""
    line.clear()
    if as_json:
        _data.write(_run_data(run), indent=indent)
        return
    rows = [
        (
            name,
            *(f"{it:,}" for it in (of.made, of.unknown, of.failed, of.fresh, of.waiting)),
            _figures.cost(of.cost) if of.cost else _figures.NOTHING,
        )
        for name, of in run.of.items()
    ]
    for text in table(_COLUMNS, rows, _terminal.width()):
        _terminal.write(text)
    for it in run.failures[:_SHOWN_FAILURES]:
        session = _terminal.line(it.session_id)
        told = f"{it.name} failed for {session}: {_terminal.line(it.error)}"
        _terminal.write(click.style(told, fg="red"), err=True)
    if (more := run.failed - _SHOWN_FAILURES) > 0:
        _terminal.write(f"and {more:,} more; --json names a thousand", err=True)


def _run_data(run: Run) -> dict[str, Any]:
    def shown(number: bytes | None) -> str | None:
        return None if number is None else number.hex()

    return {
        "evaluators": {name: asdict(of) for name, of in run.of.items()},
        "cost": run.cost,
        "stopped": run.stopped or None,
        "failures": [
            {
                **it._asdict(),
                "trace_id": shown(it.trace_id),
                "span_id": shown(it.span_id),
            }
            for it in run.failures
        ],
    }
