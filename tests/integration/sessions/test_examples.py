"""The turns of the six examples are what each of them prints: questions, answers and tools."""

import re
from importlib.util import find_spec

import pytest

from clew.core.frameworks import FRAMEWORKS
from clew.sessions.words import turns_of
from clew.store.otlp import records_of
from tests.integration.examples.chat_client import CONVERSATIONS
from tests.integration.examples.programs import Start
from tests.integration.examples.run_example import (
    ROOT,
    example_with_spans,
    isolated_environment,
)
from tests.integration.examples.server_examples import SERVER_EXAMPLES
from tests.landing.calls import installed
from tests.support.session_totals import session_of
from tests.support.traces import by_trace

_BRACKETED = re.compile(r"\[(?:(\w+)[: ].*|.*)\]$")


def blocks_of(output):
    """Return the lines that an example prints below each question."""
    parts = re.split(r"^> (.*)\n", output, flags=re.MULTILINE)[1:]
    return [
        (asked, [line for line in lines.splitlines() if line])
        for asked, lines in zip(parts[::2], parts[1::2], strict=True)
    ]


def plain(asked, lines):
    """A question and its answer, after lines in brackets and what a tool returned."""
    return asked, [line for line in lines if not _BRACKETED.match(line)][-1]


def openai(blocks):
    ticket = blocks[-1][1].pop().removeprefix("ticket: ")
    said = " ".join(asked for asked, _ in blocks)
    title = f"A customer said: {said}\nWrite a title of six words for it."
    return [*(plain(*it) for it in blocks), (title, ticket)]


def mistral(blocks):
    *first, (notice, lines) = blocks
    text = re.match(r"'(.*)' in ", notice)[1]
    said = dict(line.split(": ", 1) for line in lines)
    asked = "\n\n".join(f"Say in {language}: {text}" for language in said)
    return [*(plain(*it) for it in first), (asked, "\n\n".join(said.values()))]


def dspy(blocks):
    *first, (_, lines) = blocks
    drawers, messages = zip(*(line.split(": ", 1) for line in lines), strict=True)
    return [*(plain(*it) for it in first), ("\n\n".join(messages), "\n\n".join(drawers))]


SPECIAL = {"openai": openai, "mistral": mistral, "dspy": dspy}


def in_any_order(texts):
    """Return two texts so that what was asked in parallel compares equal in any order."""
    return [tuple(tuple(sorted(it.split("\n\n"))) for it in pair) for pair in texts]


@pytest.mark.parametrize("name", [it.name for it in FRAMEWORKS])
def test_turns_are_what_an_example_prints(name, tmp_path):
    trigger = next(it.trigger for it in FRAMEWORKS if it.name == name)
    if find_spec(trigger.partition(".")[0]) is None:
        pytest.skip(f"{name} is not installed here")
    run, spans = example_with_spans(name, "--replay", folder=tmp_path)
    assert run.status == 0, run.errors
    turns = [turn for trace in by_trace(spans) for turn in turns_of(trace)]
    blocks = blocks_of(run.output)
    called = {found[1] for _, lines in blocks for it in lines if (found := _BRACKETED.match(it))}
    expected = SPECIAL.get(name, lambda them: [plain(*it) for it in them])(blocks)

    spoken = [it for it in turns if it.spoken]
    if name == "dspy" and len(spoken) > len(expected):
        # On a busy machine the first question may be answered before the next one is asked.
        pytest.skip("its threads have not worked at the same time")
    found = [(it.input.text, it.output.text) for it in spoken]
    assert in_any_order(found) == in_any_order(expected)
    session = session_of(turns)
    assert (session.session_id, session.user_ids) == ("chat-42", ("ada",))
    assert session.spans == len(spans)
    assert (session.turn_count, session.errors) == (len(expected), 0)
    assert session.tokens.total == sum(it.tokens or 0 for it in run.spans if it.kind == "LLM")
    assert name in session.frameworks
    if name != "dspy":  # Its example does not print its tools.
        assert set(session.tools) == called - {None}


def test_turns_of_a_chat_on_a_server_are_what_was_typed_and_shown(tmp_path):
    example = SERVER_EXAMPLES["fastapi_chat"]
    if not all(map(installed, example.needs)):
        pytest.skip("FastAPI and what it needs are not installed here")
    with isolated_environment(tmp_path) as (environment, collector):
        folder = ROOT / "examples" / "fastapi_chat"
        shown = example.hold_conversations(Start(folder, tmp_path, environment, ("--replay",)))
        spans = [span for export in collector.exports() for span in records_of(export)]
    turns = [turn for trace in by_trace(spans) for turn in turns_of(trace) if turn.spoken]
    for (session, user), questions in CONVERSATIONS.items():
        mine = [it for it in turns if (it.session_id, it.user_id) == (session, user)]
        assert [it.input.text for it in mine] == list(questions)
        assert all(it.output.text and it.output.text in shown for it in mine)
    assert len(turns) == sum(map(len, CONVERSATIONS.values()))
