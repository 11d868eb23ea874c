"""Sessions and turns as JSON, turn by turn: complete, and in the form of deepeval's test cases."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from clew.sessions.model import Turn
from clew.sessions.plain import session_data, turn_data
from clew.sessions.session import Session


def session_json(session: Session, turns: Iterable[Turn]) -> Iterator[str]:
    """Yield a session with all that was said and done in it, as ``clew sessions ID --json``."""
    head = json.dumps(session_data(session), indent=2)
    yield f'{head.removesuffix("}").rstrip()},\n  "conversation": ['
    yield from _items((turn_data(turn) for turn in turns), "    ")
    yield "]\n}\n"


def turn_json(turn: Turn) -> Iterator[str]:
    """Yield a turn with all that was said and done in it."""
    yield f"{json.dumps(turn_data(turn), indent=2)}\n"


def deepeval_json(session_id: str, user_id: str, turns: Iterable[Turn]) -> Iterator[str]:
    """Yield the fields of deepeval's ``ConversationalTestCase``, in its own names."""
    about = {"session_id": session_id, "user_id": user_id}
    yield f'{{\n  "additional_metadata": {json.dumps(about)},\n  "turns": ['
    yield from _items((said for turn in turns for said in _deepeval_turns(turn)), "    ")
    yield "]\n}\n"


def _deepeval_turns(turn: Turn) -> Iterator[dict[str, Any]]:
    if turn.input.text:
        yield {"role": "user", "content": turn.input.text}
    documents = [document.text for call in turn.calls for document in call.documents]
    called = [
        {"name": call.name, "input_parameters": _object(call.arguments), "output": call.result}
        for call in turn.calls
        if call.kind == "tool"
    ]
    known = {tool["name"] for tool in called}
    called += [{"name": name} for name in turn.tools if name not in known]
    if not (turn.output.text or called or documents):
        return
    yield {
        "role": "assistant",
        "content": turn.output.text,
        **({"tools_called": called} if called else {}),
        **({"retrieval_context": documents} if documents else {}),
    }


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a tool was called with; what is none, under a name of its own."""
    if not text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {"input": text}
    return found if isinstance(found, dict) else {"input": text}


def _items(values: Iterable[Any], indent: str) -> Iterator[str]:
    """Yield the items of a JSON list, each when it is reached."""
    before = "\n"
    for value in values:
        text = json.dumps(value, indent=2).replace("\n", f"\n{indent}")
        yield f"{before}{indent}{text}"
        before = ",\n"
    if before != "\n":
        yield f"\n{indent[2:]}"
