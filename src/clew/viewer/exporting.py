"""export: conversations as one HTML file that needs nothing else, to be attached to an issue.

It has the page's own templates and style, no script, and a policy that lets it load nothing but its
own style and images that are part of the messages. What is written is rendered turn by turn.
"""

import os
import re
from base64 import b64encode
from codecs import iterdecode
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import clew
from clew.core.errors import ClewError
from clew.core.wording import number_of
from clew.sessions.model import Turn
from clew.sessions.session import Session
from clew.viewer.contents import one_line
from clew.viewer.conversation import Limits, turn_views
from clew.viewer.insight import (
    Key,
    TurnScore,
    read_scores,
    read_usual,
    session_insight,
    turn_insight,
)
from clew.viewer.pages.session import labels
from clew.viewer.pictures import turns_picture
from clew.viewer.ratings import Ratings
from clew.viewer.readers import Reader, Readers
from clew.viewer.rendering import environment
from clew.viewer.turn_list import TurnRow, marks_of, turn_rows

MOST_BYTES = 24_000_000
"""Issue trackers take files of 25 MB."""
_IN_A_FILE = Limits(
    said=200_000, detail=20_000, document=5_000, error=5_000, steps=400, linked=False
)
_MOST_MARKS = 120
_PIECE = 2**18
_LONGEST_NAME = 80
_MOST_NAMES = 10_000
_MOST_NAMED = 12


class ExportError(ClewError):
    """The file cannot be written."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The file that was written, and what is not in it."""

    path: Path
    sessions: int
    left_out: Sequence[str]
    """A sentence for each session that is not complete."""


@dataclass(slots=True)
class _Entry:
    """One session of the file."""

    session: Session
    anchor: str
    head: str
    left_out: str
    body: Iterator[str]


def export(
    store: Path,
    directory: Path,
    ids: Sequence[str],
    *,
    most_bytes: int = MOST_BYTES,
) -> Exported:
    """Write the sessions with these *ids* into a new file in *directory*.

    The file has about *most_bytes* at most, of which each session has its share. It says itself
    what has no place in it.
    """
    readers = Readers(store)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with readers.lend() as reader, TemporaryFile(dir=directory) as bodies:
            reader.sessions.score(sessions=ids)
            entries = list(_entries(reader, ids, bodies, most_bytes))
            path = _write(directory, entries, most_bytes)
    except OSError as error:
        message = f"cannot write into {directory}: {error.strerror or error}"
        raise ExportError(message) from error
    finally:
        readers.close()
    left_out = [f"{entry.session.id}: {entry.left_out}" for entry in entries if entry.left_out]
    return Exported(path, len(entries), left_out)


def _entries(
    reader: Reader, ids: Sequence[str], bodies: IO[bytes], most_bytes: int
) -> Iterator[_Entry]:
    """Yield the sessions; their turns are in *bodies*."""
    left = most_bytes
    for number, session_id in enumerate(ids):
        session = reader.sessions.get(session_id)
        anchor = f"s{number + 1}-" if len(ids) > 1 else ""
        start = bodies.tell()
        rows = turn_rows(reader, session_id)
        share = left // (len(ids) - number)
        scores = read_scores(reader, session_id)
        insight = session_insight(session, [row.key for row in rows], scores, linked=False)
        ratings = Ratings(reader.sessions, session_id, None)
        about = _About(session, rows, ratings, scores)
        kept = _write_turns(reader, about, _Place(bodies, anchor, share))
        left -= bodies.tell() - start
        left_out = _left_out(len(rows), kept)
        href = partial(_href, anchor, kept)
        head = (
            environment()
            .get_template("_exported_head.html")
            .render(
                session=session,
                insight=insight,
                anchor=anchor,
                alone=len(ids) == 1,
                linked=False,
                left_out=left_out,
                rating=ratings.session(),
                picture=turns_picture(marks_of(rows, scores), most=_MOST_MARKS, href=href),
            )
        )
        yield _Entry(session, anchor, head, left_out, _pieces(bodies, start, bodies.tell()))


@dataclass(frozen=True, slots=True)
class _About:
    """What is written about a session and its turns."""

    session: Session
    rows: Sequence[TurnRow]
    ratings: Ratings
    scores: Mapping[Key, TurnScore]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the turns of a session are written, and how many bytes it may take."""

    file: IO[bytes]
    anchor: str
    share: int


def _write_turns(reader: Reader, about: _About, place: _Place) -> set[int]:
    """Write the turns of a session as far as there is place; return the numbers of those."""
    render = environment().get_template("_exported_turn.html").render
    kept, used = set[int](), 0
    usual = read_usual(reader)
    for view in turn_views(_turns(reader, about.rows), limits=_IN_A_FILE):
        turn = view.turn
        view.labels = labels(view, about.session.latency_p50)
        about.ratings.read([turn.trace_id])
        score = about.scores.get((turn.trace_id, turn.root_id))
        insight = turn_insight(reader, turn, score, usual, linked=False)
        html = render(
            view=view,
            session=about.session,
            anchor=place.anchor,
            linked=False,
            rating=about.ratings.turn(turn, view.number),
            insights={view.number: insight},
        )
        text = html.encode("utf-8", "replace")
        if used + len(text) <= place.share:
            place.file.write(text)
            kept.add(view.number)
            used += len(text)
        elif len(text) <= place.share // 4:
            break  # There is no place any more; a turn that is large alone is left out alone.
    return kept


def _href(anchor: str, kept: Container[int], number: int) -> str:
    """Return where a turn is in the file; the session's beginning if it is not."""
    return f"#{anchor}turn-{number}" if number in kept else f"#{anchor or 'main'}"


def _turns(reader: Reader, rows: Sequence[TurnRow]) -> Iterator[tuple[int, Turn]]:
    read, turns = b"", dict[bytes, Turn]()
    for number, row in enumerate(rows, 1):
        if row.trace != read:  # Once, however many turns it has.
            read = row.trace
            turns = {it.root_id: it for it in reader.turns(read)}
        turn = turns.get(row.root)
        if turn is not None:  # It may have changed since the turns were listed.
            yield number, turn


def _left_out(total: int, kept: set[int]) -> str:
    missing = [number for number in range(1, total + 1) if number not in kept]
    if not missing:
        return ""
    first, last = missing[0], missing[-1]
    if first == last:
        which = f"turn {first} is not in this file"
    elif len(missing) == last - first + 1:
        which = f"turns {first} to {last} are not in this file"
    else:
        named = ", ".join(map(str, missing[:_MOST_NAMED]))
        more = " …" if len(missing) > _MOST_NAMED else ""
        which = f"turns {named}{more} are not in this file"
    return f"Of {number_of(total, 'turn')}, {which}: it would be too large."


def _write(directory: Path, entries: Sequence[_Entry], most_bytes: int) -> Path:
    alone = len(entries) == 1
    now = datetime.now().astimezone()
    first = entries[0].session
    title = one_line(first.first_message, 110) or "Nothing was said"
    name = _name(first.id) if alone else f"sessions-{now:%Y-%m-%d-%H%M}"
    style = (files("clew.viewer") / "static" / "style.css").read_text("utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    template = environment().get_template("export.html")
    path, file = _new_file(directory, name)
    try:
        with file:
            for piece in template.generate(
                entries=entries,
                alone=alone,
                title=title if alone else number_of(len(entries), "conversation"),
                policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
                "media-src data:; base-uri 'none'; form-action 'none'",
                style=style,
                version=clew.__version__,
                now=now,
                most=f"{most_bytes / 1e6:.0f} MB",
                incomplete=sum(bool(entry.left_out) for entry in entries),
            ):
                file.write(piece.encode("utf-8", "replace"))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _name(session_id: str) -> str:
    """Return a name for a file, which says which session is in it as far as names can."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", session_id).strip("-.")[:_LONGEST_NAME]
    return f"session-{safe or 'without-name'}"


def _new_file(directory: Path, name: str) -> tuple[Path, IO[bytes]]:
    """Make a file that only its owner may read, and that was not there before."""
    for number in range(1, _MOST_NAMES):
        path = directory / f"{name}{f'-{number}' if number > 1 else ''}.html"
        with suppress(FileExistsError):
            number_of_file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            return path, os.fdopen(number_of_file, "wb")
    message = f"{directory} has {_MOST_NAMES:,} files named {name} already"
    raise ExportError(message)


def _pieces(file: IO[bytes], start: int, end: int) -> Iterator[str]:
    """Yield what is between two places of *file*: HTML, in which every text has been escaped."""

    def read() -> Iterator[bytes]:
        for place in range(start, end, _PIECE):
            file.seek(place)
            yield file.read(min(_PIECE, end - place))

    return iterdecode(read(), "utf-8")
