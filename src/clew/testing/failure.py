"""What a test that fails says besides its own message: the conversations that it held."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from clew.cli._conversation import conversation
from clew.core.wording import number_of
from clew.sessions.session import Session

if TYPE_CHECKING:
    from clew.testing.fixture import SessionFixture

_MOST_SESSIONS = 5
_MOST_LINES = 200
"""Of one conversation; most are shorter, and the store has the rest."""
_WIDTH = 100


def sections(fixture: "SessionFixture") -> list[tuple[str, str]]:
    """Return a title and a text for each conversation of the test."""
    try:
        return list(_sections(fixture))
    except Exception as error:  # The failure of the test is what counts.
        return [("clew", f"The conversation cannot be shown: {error}")]


def _sections(fixture: "SessionFixture") -> Iterator[tuple[str, str]]:
    store = fixture.store
    # Those of the test in its own order, then those that the application has opened itself.
    rows = store.sql("SELECT session_id FROM sessions ORDER BY first_ns, session_id")
    recorded = [row["session_id"] for row in rows]
    asked_for = [it.id for it in fixture.sessions if it.id in recorded]
    ids = list(dict.fromkeys([*asked_for, *recorded]))
    for session_id in ids[:_MOST_SESSIONS]:
        yield f"clew: session {session_id}", _text(store.get(session_id), fixture)
    if (left := len(ids) - _MOST_SESSIONS) > 0:
        yield "clew", f"{number_of(left, 'session')} more: clew sessions --store {fixture.path}"
    if not ids and fixture.sessions:
        yield "clew", "No session was recorded in this test."


def _text(session: Session, fixture: "SessionFixture") -> str:
    lines = [click.unstyle(line) for line in conversation(session, full=False, width=_WIDTH)]
    if left := max(0, len(lines) - _MOST_LINES):
        del lines[_MOST_LINES:]
        lines += ["", f"… and {number_of(left, 'line')} more."]
    lines += ["", f"Kept in {fixture.path}"]
    return "\n".join(lines)
