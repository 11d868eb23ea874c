"""Makes a store with the sessions that are hard to show: very long ones, and one of 10 MB.

``long`` has 1,000 turns of 50 spans each. In ``history``, each of 1,000 model calls was sent all
that was said before. ``huge`` is one turn whose two texts have 10 MB each.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from clew.sessions.summaries import bring_up_to_date
from clew.store.compaction import compact
from clew.store.database import connect
from clew.store.record import OK, Scope, SpanRecord
from clew.store.writer import Writer

TURNS, SPANS = 1000, 50
_MEGABYTES = 10
_SECOND = 10**9
_START = 1_780_000_000 * _SECOND
_SCOPE = Scope("openinference.instrumentation.openai", "1.0")


def make(path: Path) -> None:
    """Make the store, with its summaries."""
    connection = connect(path, create=True)
    connection.execute("PRAGMA synchronous = OFF")  # What is lost is made again.
    writer = Writer(connection)
    random = Random(1)
    for turns in (_long(random), _history(random), _huge(random)):
        for spans in turns:
            writer.add(spans)
    bring_up_to_date(connection)
    compact(connection)
    connection.execute("PRAGMA optimize")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()


def _long(random: Random) -> Iterator[list[SpanRecord]]:
    for number in range(TURNS):
        turn = Turn(random, "long", number)
        asked, answered = f"Question {number}: {'word ' * 30}", f"Answer {number}. {'text ' * 60}"
        turn.add("agent", "CHAIN", {"input.value": asked, "output.value": answered})
        for step in range(1, SPANS):
            if step % 2:
                turn.add("chat", "LLM", messages([("user", asked)], answered))
            else:
                turn.add("look_up", "TOOL", {"input.value": '{"n": 1}', "output.value": "found"})
        yield turn.spans


def _history(random: Random) -> Iterator[list[SpanRecord]]:
    said = [("system", "You help.")]
    for number in range(TURNS):
        turn = Turn(random, "history", number)
        asked, answered = f"Question {number}: {'word ' * 30}", f"Answer {number}. {'text ' * 60}"
        said.append(("user", asked))
        turn.add("chain", "CHAIN", {"input.value": asked, "output.value": answered})
        turn.add("chat", "LLM", messages(said, answered))
        said.append(("assistant", answered))
        yield turn.spans


def _huge(random: Random) -> Iterator[list[SpanRecord]]:
    line = "A line with <b>markup</b> and some words, and a number, 1234.\n"
    text = line * (_MEGABYTES * 10**6 // len(line))
    turn = Turn(random, "huge", 0)
    turn.add("chat", "LLM", messages([("user", text)], text[::-1]))
    yield turn.spans


class Turn:
    """The spans of a turn, as they are made."""

    def __init__(self, random: Random, session: str, number: int) -> None:
        self.spans: list[SpanRecord] = []
        self._random = random
        self._trace = random.randbytes(16)
        self._ids = {"session.id": session, "user.id": "ada"}
        self._start = _START + number * 60 * _SECOND

    def add(self, name: str, kind: str, attributes: dict[str, Any]) -> None:
        """Add a span; the first one contains the others."""
        index = len(self.spans)
        start = self._start + index * _SECOND // 5
        self.spans.append(
            SpanRecord(
                self._trace,
                self._random.randbytes(8),
                self.spans[0].span_id if index else None,
                name,
                start,
                start + (_SECOND // 10 if index else 12 * _SECOND),
                {"openinference.span.kind": kind, **self._ids, **attributes},
                status=OK,
                scope=_SCOPE,
            )
        )


def messages(sent: list[tuple[str, str]], answered: str) -> dict[str, Any]:
    """Return the attributes of a model call."""
    attributes: dict[str, Any] = {
        "llm.model_name": "gpt-4o",
        "llm.token_count.total": sum(len(text) for _, text in sent) // 4,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": answered,
    }
    for index, (role, text) in enumerate(sent):
        attributes[f"llm.input_messages.{index}.message.role"] = role
        attributes[f"llm.input_messages.{index}.message.content"] = text
    return attributes
