"""`clew demo`: one conversation through the installed frameworks, shown as a session."""

import re
import sys

import pytest

from clew.cli.demo.conversation import session_of
from clew.cli.demo.render import session
from clew.cli.demo.spans import Span
from clew.core.frameworks import FRAMEWORKS
from clew.core.install_command import pip_line
from tests.integration.examples.run_example import run
from tests.integration.examples.test_examples import NEEDED
from tests.landing.calls import installed
from tests.support.conversation_spans import SECOND, START, turn


@pytest.mark.slow
def test_the_demo(tmp_path):
    here = [it for it in FRAMEWORKS if installed(it.trigger)]
    if not here or not all(installed(it) for row in here for it in NEEDED.get(row.name, ())):
        pytest.skip("what is installed here is not enough for the examples")
    done = run(sys.executable, "-m", "clew", "demo", "--spans", folder=tmp_path)
    assert done.status == 0, done.errors
    assert done.output.count("People wrote what the models say") == 1
    for row in here:
        assert f" {row.name} " in done.output
    assert "  user       My order A-71 should have come on Friday. Where is it?\n" in done.output
    assert re.findall(r"^session (.*)$", done.output, re.MULTILINE) == ["chat-42 · user ada"]
    traces, spans, both = re.search(
        r"^(\d+) traces · (\d+) spans, (\d+)", done.output, re.MULTILINE
    ).groups()
    assert spans == both
    assert int(traces) == len(re.findall(r"^trace \d+ ", done.output, re.MULTILINE))
    assert int(traces) >= 2 * len(here)
    said = len(re.findall(r"^Turn \d+ ", done.output, re.MULTILINE))
    assert len(here) < said <= int(traces)  # In some, nothing is said: documents are embedded.
    *_, last_span, _, place = done.output.rstrip().splitlines()
    assert last_span.endswith(" ms")
    assert place.endswith("look at it with: clew view, or clew sessions chat-42")
    assert "\nBreaks in turn 4 · friction 0." in done.output
    again = run(sys.executable, "-m", "clew", "sessions", "chat", folder=tmp_path)
    assert again.output.startswith("Session chat-42 · user ada\n")
    assert again.output.count("\nTurn ") == said
    assert again.output.splitlines()[2].startswith(f"{said} turns · ")


def span(name, parent=None, **options):
    facts = {"kind": "", "session": "s", "user": "u", "tokens": None, "start": 0, "end": 1}
    where = {"trace": b"1", "id": name.encode(), "parent": parent, "error": None}
    return Span(name=name, **{**where, **facts, **options})


def test_a_session_is_shown_with_what_went_wrong():
    shown = list(
        session(
            [
                span("turn", end=9_000_000),
                span("model", b"turn", kind="LLM", tokens=12, start=5, end=7),
                span("tool", b"turn", kind="TOOL", start=1, end=4, error="no such city"),
                span("alone", trace=b"2", user=None, start=20, end=21),
            ]
        )
    )
    assert shown[:3] == [
        "session s · user -",
        "session s · user u",
        "2 turns · 4 spans, 3 of them with both ids · 1 model call · 12 tokens · 1 error",
    ]
    assert [line.split()[0] for line in shown[5:8]] == ["└", "├", "└"]
    assert [line.split()[1] for line in shown[5:8]] == ["turn", "tool", "model"]
    assert "ERROR no such city" in shown[6]
    assert shown[4] == "turn 1 · 12 tokens"
    assert shown[9] == "turn 2 · 0 tokens"
    assert " s -  " in shown[10]


def test_concurrent_spans_are_shown_in_a_fixed_order():
    one = [span("turn", end=10), span("b", b"turn", start=1, end=5), span("a", b"turn", start=2)]
    other = [span("turn", end=10), span("a", b"turn", start=1, end=5), span("b", b"turn", start=2)]
    names = [[line.split()[1] for line in list(session(it))[4:]] for it in (one, other)]
    assert names[0] == names[1] == ["turn", "a", "b"]


def test_the_demo_names_missing_frameworks(tmp_path):
    command = (sys.executable, "-m", "clew", "demo")
    every = ",".join(row.name for row in FRAMEWORKS)
    for asked, extras in (
        (("openai",), ["openai"]),
        (("mistralai",), ["mistral"]),
        (("llama-index",), ["llamaindex"]),
        ((), [row.name for row in FRAMEWORKS]),
    ):
        done = run(*command, *asked, folder=tmp_path, CLEW_EXCLUDE=every)
        assert (done.status, done.output) == (1, "")
        last = done.errors.splitlines()[-1]
        assert last.startswith(f"Cannot be shown here: {','.join(extras)}. ")
        assert last.endswith(pip_line(*extras))
    done = run(*command, "opnai", folder=tmp_path)
    assert done.status == 2
    assert "'opnai' is not one of 'openai', 'langchain'" in done.errors


def test_a_span_without_a_session_fails_the_demo():
    spans = turn()
    conversation, broke, trees = session_of(spans)
    assert "No bad turn · friction 0." in broke
    assert "Where is my order A-17?" in conversation
    assert "get_order" in trees
    with pytest.raises(SystemExit, match=r"1 span without a session: \['search'\]"):
        list(session_of([*spans, turn("", found=["a"])[1]]))


def test_in_short_it_shows_the_spans_of_one_turn():
    *_, trees = session_of([*turn(), *turn(number=2, start=START + SECOND)], trees=False)
    assert trees.count("get_order") == 1
    assert trees.endswith("The other traces: clew demo --spans")


def test_without_a_store_the_demo_keeps_nothing(tmp_path):
    command = (sys.executable, "-m", "clew", "demo", "openai")
    if not installed("openai"):
        pytest.skip("openai is not installed here")
    done = run(*command, folder=tmp_path, CLEW_STORE="off")
    assert done.status == 0, done.errors
    assert "  user       My order A-71 should have come on Friday. Where is it?\n" in done.output
    assert '  tool       order_status(order="A-71") → no such order\n' in done.output
    assert "It is kept in" not in done.output
    shown = done.output[done.output.index(" where it broke ") :]
    assert re.search(
        r"^Breaks in turn 4 · friction 0\.[89]\d · failure 0\.00$", shown, re.MULTILINE
    )
    assert "· That is not what I asked! 21 is the house number.\n" in shown
    assert '  told by    "that is not what" (corrects, ' in shown
    # The model had taken the house number for that of an order.
    cause = r"  caused by  model ChatCompletion \(span [0-9a-f]{16}\): I find no order A-21\.\n"
    assert re.search(cause, shown)
    assert list(tmp_path.rglob("*.db")) == []


def test_a_missing_cassette(tmp_path):
    code = "from clew.cli.demo.replay_server import replayed; replayed('opnai').__enter__()"
    done = run(sys.executable, "-c", code, folder=tmp_path)
    assert done.status == 1
    assert "There is no recording of 'opnai'; there are recordings of bedrock, " in done.errors
