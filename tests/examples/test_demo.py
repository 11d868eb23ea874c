"""The demonstration: one user's conversation over whatever is installed, shown as a session."""

import re
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from clew.cli.demo.conversation import SESSION, USER, session_of
from clew.cli.demo.render import session
from clew.cli.demo.spans import Memory, Span
from clew.core.frameworks import FRAMEWORKS
from clew.core.install_command import pip_line
from tests.examples.running import run
from tests.examples.test_examples import NEEDED
from tests.landing.calls import installed


@pytest.mark.slow
def test_the_demo(tmp_path):
    here = [it for it in FRAMEWORKS if installed(it.trigger)]
    if not here or not all(installed(it) for row in here for it in NEEDED.get(row.name, ())):
        pytest.skip("what is installed here is not enough for the examples")
    done = run(sys.executable, "-m", "clew", "demo", folder=tmp_path)
    assert done.status == 0, done.errors
    assert done.output.count("People wrote what the models say") == 1
    for row in here:
        assert f" {row.name} " in done.output
    assert re.findall(r"^session (.*)$", done.output, re.MULTILINE) == ["chat-42 · user ada"]
    turns, spans, both = re.search(
        r"^(\d+) turns · (\d+) spans, (\d+)", done.output, re.MULTILINE
    ).groups()
    assert spans == both
    assert int(turns) == len(re.findall(r"^turn \d+ ", done.output, re.MULTILINE))
    assert int(turns) >= 2 * len(here)
    assert done.output.rstrip().splitlines()[-1].endswith(" ms")


def span(name, parent=None, **said):
    facts = {"kind": "", "session": "s", "user": "u", "tokens": None, "start": 0, "end": 1}
    where = {"trace": b"1", "id": name.encode(), "parent": parent, "error": None}
    return Span(name=name, **{**where, **facts, **said})


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


def test_what_ran_at_the_same_time_is_shown_in_an_order_of_its_own():
    one = [span("turn", end=10), span("b", b"turn", start=1, end=5), span("a", b"turn", start=2)]
    other = [span("turn", end=10), span("a", b"turn", start=1, end=5), span("b", b"turn", start=2)]
    names = [[line.split()[1] for line in list(session(it))[4:]] for it in (one, other)]
    assert names[0] == names[1] == ["turn", "a", "b"]


def test_the_demo_says_what_it_lacks(tmp_path):
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
    memory = Memory()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory.exporter))
    tracer = provider.get_tracer("demo")
    tracer.start_span("in it", attributes={"session.id": SESSION, "user.id": USER}).end()
    (shown,) = session_of(memory)
    assert "in it" in shown
    tracer.start_span("astray").end()
    with pytest.raises(SystemExit, match=r"1 span without a session: \['astray'\]"):
        list(session_of(memory))


def test_a_cassette_that_is_not_there(tmp_path):
    code = "from clew.cli.demo.replay_server import replayed; replayed('opnai').__enter__()"
    done = run(sys.executable, "-c", code, folder=tmp_path)
    assert done.status == 1
    assert "There is no recording of 'opnai'; there are recordings of bedrock, " in done.errors
