"""A conversation as a pytest module: the user says the same once more to the application.

What was recorded can contain anything. It gets into the module only as literals that Python has
made itself (`repr`), and never into the first two lines, which may name an encoding.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from clew.core.wording import number_of
from clew.sessions.model import Turn

_MAX_ANSWER = 4_000
"""Characters of a recorded answer that are in the module: nothing is compared with it."""
_MAX_ERROR = 300
_WIDTH = 88
_MAX_LINES = 2_000

_HEAD = '''"""Says again what a user has said, and tests what comes back.

Fill in `ask`; then run it: python -m pytest FILE
"""

from uuid import uuid4

'''
_ASK = '''

def ask(message, session_id):
    """Say *message* to your application.

    Return the text of its answer, and the names of the tools that it has called.
    """
    raise NotImplementedError("call your application here: return answer, tools")


# What was said, and what had come back when it was recorded. `tools` have to be called again;
# `answer` is there to be read: compare with it what has to stay the same.
TURNS = [
'''
_TEST = """]


def test_the_conversation_goes_as_before():
    assert TURNS, "no text of the user was recorded"
    session_id = f"replay-{uuid4()}"
    for number, turn in enumerate(TURNS, 1):
        answer, tools = ask(turn["says"], session_id)
        assert answer and answer.strip(), f"turn {number}: no answer"
        missing = set(turn["tools"]) - set(tools)
        assert not missing, f"turn {number}: {sorted(missing)} not called"
"""


def pytest_module(session_id: str, first: datetime, turns: Iterable[Turn]) -> Iterator[str]:
    """Yield the module, turn by turn; *first* is when the conversation began."""
    yield _HEAD
    yield f"# Session {_literal(session_id)}, recorded on {first:%Y-%m-%d %H:%M}.\n"
    yield _ASK
    for turn in turns:
        yield "".join(_turn(turn))
    yield _TEST


def _turn(turn: Turn) -> Iterator[str]:
    if not turn.input.text:
        yield "    # In this turn no text of the user was recorded, so it is left out.\n"
        return
    yield "    {\n"
    if turn.input.media:
        yield f"        # With {number_of(len(turn.input.media), 'attachment')}, left out here.\n"
    if turn.error:
        yield f"        # It failed when it was recorded: {_literal(turn.error[:_MAX_ERROR])}\n"
    yield f'        "says": {_text(turn.input.text)},\n'
    names = ", ".join(_literal(name) for name in turn.tools)
    yield f'        "tools": [{names}],\n'
    answer = turn.output.text
    if len(answer) > _MAX_ANSWER:
        yield f"        # The beginning of {len(answer):,} characters.\n"
        answer = answer[:_MAX_ANSWER]
    yield f'        "answer": {_text(answer)},\n'
    yield "    },\n"


def _text(text: str) -> str:
    """Return a literal of *text*; of several lines, if it is long or has several."""
    pieces = _pieces(text)
    if len(pieces) <= 1:
        return _literal(text)
    lines = "".join(f"            {_literal(piece)}\n" for piece in pieces)
    return f"(\n{lines}        )"


def _pieces(text: str) -> list[str]:
    """Return *text* in lines that can be read; as one, if that would be very many."""
    lines = text.splitlines(keepends=True)
    if len(lines) + len(text) // _WIDTH > _MAX_LINES:
        return [text]
    return [line[start : start + _WIDTH] for line in lines for start in range(0, len(line), _WIDTH)]


def _literal(text: str) -> str:
    """Return *text* as Python writes it: on one line, and without what cannot be seen."""
    return repr(str(text))
