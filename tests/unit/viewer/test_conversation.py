"""A turn as the page shows it: cut texts, nested calls, the system's prompt where it changes."""

import pytest

pytest.importorskip("nh3")

from clew.sessions.model import Call, Document, Media, Message, ToolRequest, Turn
from clew.viewer.conversation import turn_views
from clew.viewer.parts import content_href, is_markdown, parse_turn_key, text_of, turn_key

PIXEL = "data:image/png;base64,iVBORw0KGgo="
SECOND = 10**9


def call(kind="model", name="chat", span=1, parent=None, **more):
    parent_id = None if parent is None else bytes([parent]) * 8
    return Call(kind, name, bytes([span]) * 8, parent_id, 0, SECOND, **more)


def turn(*calls, start=0, **more):
    said = {"input": Message("user", "Hello"), "output": Message("assistant", "Hi")} | more
    return Turn("s", b"t" * 16, b"r" * 8, "ada", start, start + SECOND, calls=calls, **said)


def view(*turns):
    return list(turn_views(list(enumerate(turns, 1))))


def system(text):
    return (Message("system", text), Message("user", "Hello"))


def test_a_single_model_call_is_no_step():
    (shown,) = view(turn(call()))
    assert shown.steps == []
    assert shown.answer_href == f"/call?turn={turn_key(turn())}&call=0"


def test_a_model_call_that_failed_is_a_step():
    (shown,) = view(turn(call(error="429"), error="429"))
    assert [it.failed for it in shown.steps] == [True]


def test_calls_of_an_agent_are_inside_it():
    agent = call("agent", "researcher", span=1)
    (shown,) = view(
        turn(
            agent,
            call("tool", "search", span=2, parent=1, error="timeout"),
            call("agent", "writer", span=3, parent=1),
            call(span=4, parent=3),
            call(span=5),
        )
    )
    researcher, answer = shown.steps
    search, writer = researcher.steps
    assert [it.call.name for it in (researcher, search, writer)] == [
        "researcher",
        "search",
        "writer",
    ]
    assert len(writer.steps) == 1
    assert answer.steps == []
    assert (researcher.failed, researcher.failed_inside, search.failed_inside) == (
        True,
        True,
        False,
    )


def test_of_very_many_calls_the_first_and_those_that_failed_are_shown():
    calls = [
        call("tool", f"t{number}", error="no" if number == 999 else "") for number in range(1000)
    ]
    (shown,) = view(turn(*calls))
    assert len(shown.steps) == 81
    assert shown.steps[-1].call.name == "t999"
    assert shown.more_steps == 919


def test_the_prompt_of_the_system_is_shown_where_it_changes():
    shown = view(
        turn(call(input=system("Be brief."))),
        turn(call(input=system("Be brief."))),
        turn(call("tool")),
        turn(call(input=system("Be kind."))),
    )
    assert [it.system.text if it.system else None for it in shown] == [
        "Be brief.",
        None,
        None,
        "Be kind.",
    ]


def test_the_turn_before_a_page_counts_for_its_first_turn():
    before = turn(call(input=system("Be brief.")))
    after = turn(call(input=system("Be brief.")), start=400 * SECOND)
    (shown,) = turn_views([(7, after)], before=before)
    assert shown.system is None
    assert shown.pause == 399


def test_what_the_answer_repeats_is_not_said_twice():
    said = (Message("assistant", "Hi"),)
    first = (Message("assistant", "Let me see.", (ToolRequest("search", "{}"),)),)
    (shown,) = view(turn(call(output=first), call("tool", "search"), call(output=said)))
    assert shown.steps[0].text.text == "Let me see."
    assert shown.steps[0].asks_for == ["search"]
    assert shown.steps[2].text is None


def test_only_images_that_are_in_the_message_are_shown():
    media = (
        Media("image", PIXEL),
        Media("image", "https://example.com/a.png", name="a.png"),
        Media("file", "data:application/pdf;base64,AAAA", "application/pdf", "terms.pdf"),
        Media("audio", "data:audio/wav;base64,AAAA"),
    )
    (shown,) = view(turn(input=Message("user", "", media=media)))
    image, remote, file, sound = shown.input.media
    assert image.src == PIXEL
    assert remote.src is None
    assert "https://example.com/a.png" in remote.label
    assert (file.src, file.label) == (None, "terms.pdf · application/pdf")
    assert sound.src.startswith("data:audio/wav")


def test_each_text_that_is_cut_has_an_address_that_finds_it():
    long = "x" * 100_000
    whole = turn(
        call(
            "tool",
            arguments=f"a{long}",
            result=f"r{long}",
            error=f"e{long}",
            documents=(Document(f"d{long}", "id", 0.5),),
            input=system(f"s{long}"),
            output=(Message("assistant", f"o{long}", reasoning=f"t{long}"),),
        ),
        input=Message("user", f"q{long}"),
        output=Message("assistant", f"h{long}", (ToolRequest("search", f"u{long}"),)),
        error=f"f{long}",
    )
    parts = {
        "input": "q",
        "output": "h",
        "output.request.0": "u",
        "error": "f",
        "call.0.arguments": "a",
        "call.0.result": "r",
        "call.0.error": "e",
        "call.0.document.0": "d",
        "call.0.input.0": "s",
        "call.0.output.0": "o",
        "call.0.output.0.reasoning": "t",
    }
    for part, first in parts.items():
        assert text_of(whole, part) == first + long
    (shown,) = view(whole)
    cut = [shown.input.text, shown.output.text, shown.error, shown.output.requests[0].arguments]
    step = shown.steps[0]
    cut += [step.arguments, step.result, step.error, step.documents[0].text]
    expected = ("input", "output", "error", "output.request.0")
    expected += tuple(f"call.0.{it}" for it in ("arguments", "result", "error", "document.0"))
    assert [it.href for it in cut] == [content_href(whole, part) for part in expected]
    assert all(it.left for it in cut)


@pytest.mark.parametrize(
    "part",
    ["", "call", "call.7.result", "call.0.nothing", "call.-1.result", "output.request.9", "a.b.c"],
)
def test_a_text_that_is_not_there_is_not_found(part):
    with pytest.raises(LookupError):
        text_of(turn(call()), part)


def test_only_what_was_said_is_markdown():
    whole = turn(call(input=(Message("system", "a"), Message("tool", "b")), output=(Message("x"),)))
    parts = ("input", "output.reasoning", "call.0.input.0", "call.0.input.1", "call.0.output.0")
    assert [is_markdown(whole, part) for part in parts] == [True, True, True, False, True]
    assert not is_markdown(whole, "call.0.result")
    assert not is_markdown(whole, "output.request.0")


def test_the_key_of_a_turn_names_it():
    assert parse_turn_key(turn_key(turn())) == (b"t" * 16, b"r" * 8)
    for wrong in ("", "-", "74" * 16, f"{'74' * 16}-zz", f"{'74' * 15}-{'72' * 8}"):
        with pytest.raises(LookupError):
            parse_turn_key(wrong)
