"""Finds sessions on an engine: by what is in them, in the order that is wanted, page by page."""

import re
from collections.abc import Sequence
from typing import Any

from clew.core.errors import ConfigurationError
from clew.sessions.engines.asking import Row, rows
from clew.sessions.engines.engine import Engine
from clew.sessions.engines.summary import words_of
from clew.sessions.listing import Search


def find_sessions(engine: Engine, columns: Sequence[str], search: Search) -> Sequence[Row]:
    """Return these *columns* of the sessions that are wanted."""
    conditions = [(f"session_id IN ({it.lookup})", it.parameters) for it in search.conditions()]
    if search.text is not None:
        lookup, given = text_lookup(search.text)
        conditions.append((f"session_id IN ({lookup})", given))
    if search.after is not None:
        position = _position(engine, search.key, search.after)
        sign = ">" if search.ascending else "<"
        text = f"({search.key} {sign} ? OR {search.key} = ? AND session_id {sign} ?)"
        conditions.append((text, (position, position, search.after)))
    where = f"WHERE {' AND '.join(text for text, _ in conditions)}" if conditions else ""
    direction = "ASC" if search.ascending else "DESC"
    query = (
        f"SELECT {', '.join(columns)} FROM session {where} "
        f"ORDER BY {search.key} {direction}, session_id {direction} LIMIT ?"
    )
    parameters = [value for _, values in conditions for value in values]
    return rows(engine, query, (*parameters, search.limit))


def text_lookup(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a query for the sessions in which all words of *text* were said in a turn.

    The last word may be half typed, unless it is one letter.
    """
    said = re.findall(r"\w+", text)
    if not said:
        return "SELECT session_id FROM session WHERE 0", ()
    half = len(said[-1]) > 1 or not said[-1].isascii()
    wanted = [f" {known} " for word in said if (known := _as_indexed(word))]
    if not wanted:
        return "SELECT session_id FROM session WHERE 0", ()
    if half and _as_indexed(said[-1]):
        wanted[-1] = wanted[-1].rstrip()
    conditions = " AND ".join(["instr(words, ?) > 0"] * len(wanted))
    query = f"SELECT session_id FROM turn WHERE session_id <> '' AND {conditions}"
    return query, tuple(wanted)


def _as_indexed(word: str) -> str:
    """Return what *word* is in the index: it may be several there."""
    return " ".join(words_of(word))


def _position(engine: Engine, key: str, session_id: str) -> Any:
    found = rows(engine, f"SELECT {key} FROM session WHERE session_id = ?", (session_id,))
    if not found:
        message = f"after={session_id!r}: there is no session of this id in the store"
        raise ConfigurationError(message)
    return found[0][0]
