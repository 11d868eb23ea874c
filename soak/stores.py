"""What is in the stores at the end, compared with what their writers have said is in them."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from clew.store.database import connect
from soak.counts import Counts


class Written(NamedTuple):
    """A span that an exporter has said is written."""

    trace: str
    span: str
    session: str


def check(store: Path, notes: Path, counts: Counts) -> None:
    """Count the spans that are not in *store*, of those that are in the *notes* of its writers."""
    written = {it for file in notes.glob("written-*") for it in _read(file)}
    counts.add("written", number=len(written))
    if not store.exists():
        if written:
            counts.add("lost", f"there is no {store.name}", len(written))
        return
    with closing(connect(store)) as connection:
        if (found := connection.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
            counts.add("lost", f"{store.name} is damaged: {found[:3]}")
        there = {
            (trace.hex(), span.hex()): session or ""
            for trace, span, session in connection.execute(
                "SELECT trace_id, span_id, session_id FROM span"
            )
        }
    for it in _kept(written, forgotten(notes)):
        session = there.get((it.trace, it.span))
        if session is None:
            counts.add("lost", f"the span {it.span} of the session {it.session!r}")
        elif session != it.session:
            counts.add("wrong", f"in the store: {it.span} is in {session!r}, not {it.session!r}")


def _kept(written: set[Written], sessions: set[str]) -> Iterable[Written]:
    """Leave out what may have been deleted: the *sessions*, and spans without one beside them."""
    traces = {it.trace for it in written if it.session in sessions}
    return (
        it
        for it in written
        if it.session not in sessions and (it.session or it.trace not in traces)
    )


def _read(file: Path) -> Iterable[Written]:
    """Yield the notes in a file; of a process that was killed, the last one may be incomplete."""
    for line in file.read_text("ascii").splitlines(keepends=True):
        if line.endswith("\n"):
            yield Written(*line[:-1].split(" "))


def note_forgotten(notes: Path, session: str) -> None:
    """Note that a session is about to be deleted."""
    with (notes / "forgotten").open("a", encoding="utf-8") as file:
        file.write(f"{session}\n")


def forgotten(notes: Path) -> set[str]:
    """Return the sessions that were to be deleted."""
    file = notes / "forgotten"
    return set(file.read_text("utf-8").splitlines()) if file.exists() else set()
