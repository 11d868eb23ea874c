"""The turns of all sessions as they come: with a real application, without a browser and in one."""

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from tests.integration.viewer.server import serving
from tests.support.conversation_spans import SECOND, turn
from tests.support.providers import ProviderServer

STREAMS = Path(__file__).parent / "programs" / "streams.py"


def now():
    return time.time_ns()


def rows(html):
    return re.findall(r'<li class="(row[^"]*)".*?</li>', html, re.DOTALL)


def asked(html):
    return [unescape(it) for it in re.findall(r'data-row dir="auto">([^<]*)</a>', html)]


def without_root(spans):
    return [span for span in spans if span.parent_id is not None]


def test_turns_of_all_sessions_are_listed_the_newest_first(ask, write):
    for number, session in enumerate(("a", "b", "a")):
        start = now() - (100 - number) * SECOND
        write(turn(session, asked=f"Question {number}?", number=number, start=start))
    assert asked(ask.get("/live").text) == ["Question 2?", "Question 1?", "Question 0?"]


def test_a_turn_leads_to_its_place_in_its_session(ask, write):
    for number in range(1, 61):
        start = now() - (900 - number) * SECOND
        write(turn(asked=f"Question {number}?", number=number, start=start))
    html = ask.get("/live").text
    address = unescape(re.search(r'<a href="(/turn\?[^"]*)"[^>]*>Question 41\?', html)[1])
    answer = ask.get(address, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/session?id=chat-42&turn=41#turn-41"


def test_a_turn_without_session_leads_to_its_trace(ask, write):
    write(turn("", start=now()))
    html = ask.get("/live").text
    (address,) = re.findall(r'href="(/turn\?[^"]*)"', html)
    assert ask.get(address, follow_redirects=False).headers["location"].startswith("/trace?trace=")


@pytest.mark.parametrize("key", ["", "x", f"{'0' * 32}-{'0' * 16}"])
def test_a_turn_that_is_not_there_is_said(ask, filled, key):
    assert ask.get(f"/turn?turn={key}").status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("user=bob", ["Of bob?"]),
        ("errors=yes", ["It fails?"]),
        ("user=bob&errors=yes", []),
        ("user=nobody", []),
    ],
)
def test_filters_are_in_the_address(ask, write, query, found):
    write(
        turn("a", "ada", "Of ada?", start=now() - 30 * SECOND),
        turn("b", "bob", "Of bob?", start=now() - 20 * SECOND),
        turn("c", "eve", "It fails?", "", start=now() - 10 * SECOND, error="429 Too Many"),
    )
    html = ask.get(f"/live?{query}").text
    assert asked(html) == found
    assert ("No turn matches" in html) is (not found)


def test_a_wrong_filter_is_named(ask, filled):
    answer = ask.get("/live?errors=some")
    assert answer.status_code == 400
    assert "errors=&#39;some&#39; is not known" in answer.text


def test_never_more_than_a_hundred_turns_are_shown(ask, write):
    for number in range(150):
        start = now() - (900 - number) * SECOND
        write(turn(f"s{number}", number=number, start=start, tool=False))
    html = ask.get("/live").text
    assert len(asked(html)) == 60
    assert len(html) < 100_000


def test_a_turn_is_running_until_what_is_around_it_has_ended(ask, write):
    spans = turn(asked="What is in stock?", start=now() - 2 * SECOND)
    write(without_root(spans))
    html = ask.get("/live").text
    assert rows(html) == ["row running"]
    assert asked(html) == ["What is in stock?"]
    assert ">running<" in ask.get("/session?id=chat-42").text
    write(spans)
    assert rows(ask.get("/live").text) == ["row"]
    assert ">running<" not in ask.get("/session?id=chat-42").text


def test_before_anything_was_said_it_is_running_too(ask, write):
    spans = turn(start=now() - 2 * SECOND)
    write([span for span in spans if span.name == "get_order"])
    html = ask.get("/live").text
    assert rows(html) == ["row running"]
    assert asked(html) == ["Nothing was said yet"]
    assert "No answer yet." in ask.get("/session?id=chat-42").text
    key = re.search(r'data-key="([^"]*)"', html)[1]
    write(spans)
    location = ask.get(f"/turn?turn={key}", follow_redirects=False).headers["location"]
    assert location == "/session?id=chat-42&turn=1#turn-1"


def test_a_turn_that_says_nothing_yet_is_shown_beside_others(ask, write):
    write(turn(start=now() - 60 * SECOND))
    silent = turn(number=2, start=now() - 2 * SECOND)
    write([span for span in silent if span.name == "get_order"])
    html = ask.get("/session?id=chat-42").text
    assert 'id="turn-2"' in html
    assert ">running<" in html


@pytest.mark.parametrize(
    ("flags", "seconds", "running"),
    [(0x101, 30, True), (0x101, 90, False), (0x301, 1, True), (0x301, 9, False), (0, 9, False)],
)
def test_what_never_ends_is_not_running_for_ever(ask, write, flags, seconds, running):
    spans = without_root(turn(start=now() - (seconds * 10 + 12) * SECOND // 10))
    write([replace(span, flags=flags) for span in spans])
    assert rows(ask.get("/live").text) == ["row running" if running else "row"]


def test_of_several_turns_inside_one_span_only_the_last_is_running(ask, write):
    whole = b"whole..."
    for number, since in enumerate((9, 3)):
        spans = turn("s", number=7, asked=f"Question {number}?", start=now() - since * SECOND)
        ids = {span.span_id: bytes([number]) + span.span_id[1:] for span in spans}
        write(
            [
                replace(
                    span,
                    span_id=ids[span.span_id],
                    parent_id=ids.get(span.parent_id, whole),
                )
                for span in spans
            ]
        )
    assert rows(ask.get("/live").text) == ["row running", "row"]


@pytest.fixture
def application(path):
    """Run an application whose second answer stops in its midst, until it is told to go on."""
    processes = []

    def start(server):
        environment = {**os.environ, "CLEW_STORE": str(path)}
        command = [sys.executable, str(STREAMS), server.openai_url]
        processes.append(subprocess.Popen(command, env=environment))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait(20)


def test_a_real_turn_is_seen_while_it_streams(path, application, visit):
    pytest.importorskip("openai")
    with ProviderServer() as server, serving(path) as (address, _):
        server.hang(after_events=2)
        process = application(server)
        assert server.wait_for(2, 60)
        listed = visit(f"{address}live")
        listed.locator(".feed .row.running").wait_for(timeout=30_000)
        there = visit(f"{address}session?id=chat-live")
        there.locator(".turn.running").get_by_text("Where is my order A-17?").wait_for()
        there.locator("#live:not([hidden])").wait_for()
        listed.locator("#live:not([hidden])").wait_for()
        assert process.poll() is None
        assert there.get_by_text("gpt-4o-mini").count() == 0
        server.release()
        assert process.wait(60) == 0
        listed.locator(".feed .row:not(.running)").wait_for(timeout=30_000)
        assert listed.locator(".feed .row").count() == 1
        there.locator(".turn:not(.running)").wait_for(timeout=30_000)
        assert there.locator(".turn").count() == 1
        assert there.get_by_text("gpt-4o-mini").count() > 0
        assert listed.complaints == there.complaints == []


def test_turns_come_by_themselves_and_can_be_paused(path, write, visit):
    write(turn(asked="Question 0?", start=now() - 50 * SECOND))
    with serving(path) as (address, _):
        page = visit(f"{address}live")
        page.locator("#live:not([hidden])").wait_for()
        write(turn("b", asked="Question 1?", number=1, start=now() - 40 * SECOND))
        page.get_by_text("Question 1?").wait_for(timeout=20_000)
        assert page.locator("[data-row]").all_inner_texts() == ["Question 1?", "Question 0?"]
        page.keyboard.press("p")
        page.get_by_role("button", name="Go on").wait_for()
        other = visit(f"{address}live")
        other.locator("#live:not([hidden])").wait_for()
        write(turn("c", asked="Question 2?", number=2, start=now() - 30 * SECOND))
        other.get_by_text("Question 2?").wait_for(timeout=20_000)
        assert page.get_by_text("Question 2?").count() == 0
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("Question 2?").wait_for(timeout=20_000)
        assert page.complaints == other.complaints == []


def test_what_has_the_focus_keeps_it(path, write, visit):
    write(turn(asked="Question 0?", start=now() - 50 * SECOND))
    with serving(path) as (address, _):
        page = visit(f"{address}live")
        page.locator("#live:not([hidden])").wait_for()
        page.keyboard.press("j")
        write(turn("b", asked="Question 1?", number=1, start=now() - 40 * SECOND))
        page.get_by_text("Question 1?").wait_for(timeout=20_000)
        assert page.evaluate("document.activeElement.textContent") == "Question 0?"
        assert page.locator(".row.current").inner_text().count("Question 0?")
        page.keyboard.press("k")
        assert page.evaluate("document.activeElement.textContent") == "Question 1?"


def test_a_running_turn_grows_while_a_step_of_it_is_open(path, write, visit):
    spans = turn(start=now() - 2 * SECOND)
    write([span for span in spans if span.name == "get_order"])
    with serving(path) as (address, _):
        page = visit(f"{address}session?id=chat-42")
        page.locator("#live:not([hidden])").wait_for()
        page.locator("summary", has_text="get_order").click()
        write(without_root(spans))
        page.locator("#turn-1").get_by_text("It was sent yesterday.").first.wait_for(timeout=20_000)
        assert page.locator("details[open]", has_text="get_order").count() == 1
        focused = page.evaluate("document.activeElement.textContent")
        assert "get_order" in focused


def test_what_is_being_written_below_a_running_turn_stays(path, write, visit):
    spans = turn(start=now() - 2 * SECOND)
    write([span for span in spans if span.name == "get_order"])
    with serving(path) as (address, _):
        page = visit(f"{address}session?id=chat-42")
        page.locator("#live:not([hidden])").wait_for()
        page.locator("#turn-1 .noting summary").click()
        page.locator("#turn-1 textarea").fill("Not right")
        write([*without_root(spans), *turn(asked="And more?", number=2, start=now())])
        page.locator("#turn-2").wait_for(timeout=20_000)
        assert page.locator("#turn-1 textarea").input_value() == "Not right"


def test_where_a_page_is_full_the_way_to_later_turns_appears(path, write, visit):
    def turns(first, last):
        """Return turns of which a page shows two, however fast it is: they have many spans."""
        for number in range(first, last):
            spans = turn(number=number, start=now() - (90 - number) * SECOND)
            (tool,) = [it for it in spans if it.name == "get_order"]
            again = (index.to_bytes(4, "big") + tool.span_id[4:] for index in range(1, 200))
            yield from [*spans, *(replace(tool, span_id=it) for it in again)]

    write(list(turns(1, 3)))
    with serving(path) as (address, _):
        page = visit(f"{address}session?id=chat-42")
        page.locator("#live:not([hidden])").wait_for()
        assert page.get_by_role("link", name="Later turns").count() == 0
        write(list(turns(3, 4)))
        page.get_by_role("link", name="Later turns").wait_for(timeout=20_000)
        write(list(turns(4, 5)))
        page.get_by_text("2 after these").wait_for(timeout=20_000)
        assert page.get_by_role("link", name="Later turns").count() == 1


def test_a_tab_in_the_background_has_no_connection(path, write, visit):
    hide = (
        "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: "
        "true }); document.dispatchEvent(new Event('visibilitychange')); }"
    )
    write(turn(asked="Question 0?", start=now() - 50 * SECOND))
    with serving(path) as (address, _):
        page = visit(f"{address}live")
        page.locator("#live:not([hidden])").wait_for()
        asked = []
        page.on("request", lambda it: asked.append(it.url))
        page.evaluate(hide, arg=True)
        write(turn("b", asked="Question 1?", number=1, start=now() - 40 * SECOND))
        other = visit(f"{address}live")
        other.get_by_text("Question 1?").wait_for(timeout=20_000)
        assert asked == []
        page.evaluate(hide, arg=False)
        page.get_by_text("Question 1?").wait_for(timeout=20_000)
        assert any("/events" in it for it in asked), "the old connection was kept"
        assert page.complaints == []


def test_it_works_without_scripts(path, write, visit):
    write(turn("a", "ada", "Of ada?", start=now() - 9 * SECOND))
    with serving(path) as (address, _):
        page = visit(f"{address}live", scripts=False)
        page.get_by_label("User").fill("ada")
        page.get_by_role("button", name="Filter").click()
        write(turn("b", "ada", "And more?", start=now() - 5 * SECOND))
        page.get_by_role("link", name="Reload").click()
        page.get_by_role("link", name="And more?").click()
        page.wait_for_url(f"{address}session?id=b&turn=1#turn-1")
