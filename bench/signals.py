"""How many turns a second the signals read, on one core.

The conversations are with a shop's assistant that calls a tool in each turn: once with texts of
usual length, and once with texts ten times as long.
"""

from time import process_time
from typing import Any

from bench.pairing import Estimate, Verdict, estimate
from clew.sessions.model import Call, Message, Turn
from clew.sessions.signals.scores import scores

ROUNDS = 5
_TURNS_A_SECOND = 2_000
_CONVERSATIONS, _TURNS = 200, 10
_ASKED = (
    "Hello, I would like to know where my order A-17 is, because it has not arrived yet.",
    "No, that is not what I asked. I asked about the order with the blue bicycle!",
    "Thanks, that helps. And when does the shop open on Saturday?",
    "Kann ich die Bestellung auch in der Filiale abholen, wenn sie da ist?",
)
_ANSWERED = (
    "I am sorry for the inconvenience. Your order A-17 was sent yesterday and arrives tomorrow. "
    "You can follow it with the link in the message that we sent you. Is there anything else?"
)


def measure(rounds: int) -> dict[str, Any]:
    """Read conversations with texts of usual length, and with long ones."""
    rows = []
    for name, longer in (("texts of one to four sentences", 1), ("texts ten times as long", 10)):
        conversations = [_conversation(number, longer) for number in range(_CONVERSATIONS)]
        scores(conversations[0])  # The word lists are read.
        seconds = [[_seconds(conversations)] for _ in range(rounds)]
        count = _CONVERSATIONS * _TURNS
        rows.append((name, estimate([[count / it for it in group] for group in seconds])))
    slowness = Estimate(
        *(_TURNS_A_SECOND / it for it in (rows[0][1].median, rows[0][1].high, rows[0][1].low))
    )
    verdict = Verdict("time for 2,000 turns, in seconds on one core", slowness, 1.0)
    return {"rows": rows, "verdicts": [verdict]}


def report(found: dict[str, Any]) -> str:
    """Return the table and the verdict."""
    lines = ["| signals | turns a second |", "|---|---|"]
    lines += [f"| {name} | {value.text(0)} |" for name, value in found["rows"]]
    return "\n".join([*lines, "", *(it.text() for it in found["verdicts"])])


def _seconds(conversations: list[list[Turn]]) -> float:
    begin = process_time()
    for it in conversations:
        scores(it)
    return process_time() - begin


def _conversation(number: int, longer: int) -> list[Turn]:
    return [_turn(number, it, longer) for it in range(_TURNS)]


def _turn(conversation: int, number: int, longer: int) -> Turn:
    asked = Message("user", " ".join([_ASKED[(conversation + number) % len(_ASKED)]] * longer))
    answered = Message("assistant", " ".join([_ANSWERED] * longer))
    start = number * 10**9
    calls = (
        Call("tool", "find_order", b"tool", None, start, start + 1, result='{"status": "sent"}'),
        Call("model", "", b"model", None, start, start + 1, input=(asked,), output=(answered,)),
    )
    return Turn(
        session_id=str(conversation),
        trace_id=number.to_bytes(16, "big"),
        root_id=number.to_bytes(8, "big"),
        user_id="",
        start=start,
        end=start + 10**9,
        input=asked,
        output=answered,
        calls=calls,
    )
