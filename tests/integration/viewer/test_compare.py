"""Two sessions side by side, without a browser and in one."""

import re

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from tests.integration.viewer.server import serving
from tests.support.conversation_spans import SECOND, START, turn

TOLD = ("It was sent on Monday.", "Tomorrow.", "Yes, within 14 days.")
TOLD_AGAIN = ("It was sent today.", "Tomorrow.", "")


@pytest.fixture
def both(write):
    """Two conversations that begin alike; the second one has a turn more, and one that failed."""
    asked = ("Where is my order A-17?", "When does it arrive?", "Can I return it?")
    for number, (said, answered) in enumerate(zip(asked, TOLD, strict=True)):
        write(turn("one", "ada", said, answered, number=number, start=START + number * 9 * SECOND))
    again = ("Where is my order A-17?", "A red bell?", "When will it arrive?", "Can I return it?")
    answers = (TOLD_AGAIN[0], "Yes.", *TOLD_AGAIN[1:])
    for number, (said, answered) in enumerate(zip(again, answers, strict=True)):
        write(
            turn(
                *("two", "ada", said, answered),
                number=number,
                start=START + (100 + number * 9) * SECOND,
                error="" if answered else "429 Too Many",
                tool=number == 0,
                cost=0.0042,
            )
        )


def sides(html):
    """Return the pairs, each as its two columns."""
    found = re.findall(r'<section class="pair.*?</section>', html, re.DOTALL)
    return [re.split(r'<div class="side[ "]', it)[1:] for it in found]


def test_turns_stand_beside_those_in_which_the_user_said_the_same(ask, both):
    html = ask.get("/compare?a=one&b=two").text
    first, more, near, last = sides(html)
    assert all("Where is my order A-17?" in it for it in first)
    assert "A has no such turn." in more[0]
    assert "A red bell?" in more[1]
    assert "When does it arrive?" in near[0]
    assert "When will it arrive?" in near[1]
    assert "within 14 days" in last[0]
    assert "429 Too Many" in last[1]
    assert "in 2 the user said the same, in 1 nearly; 1 only in one session" in html


def test_the_differences_of_answers_tools_and_figures_are_marked(ask, both):
    html = ask.get("/compare?a=one&b=two").text
    first, _, near, _ = sides(html)
    assert "<mark>on Monday</mark>" in first[0]
    assert "<mark>today</mark>" in first[1]
    assert '<mark title="Only here">get_order</mark>' in near[0]
    assert "get_order" not in near[1]
    assert "same answer" in html
    assert re.search(r'<th scope="row">Turns</th>.*?>3<.*?>4<.*?>\+1 \(\+33%\)<', html)
    assert "cost $0.002 → $0.004" in html


def test_the_first_difference_is_one_click_away(ask, both):
    html = ask.get("/compare?a=one&b=two").text
    assert 'href="#pair-1" id="first-different"' in html


def test_the_same_session_has_no_differences(ask, both):
    html = ask.get("/compare?a=one&b=one").text
    assert "The answers are all the same." in html
    assert "<mark" not in html


def test_long_sessions_are_compared_page_by_page(ask, write):
    for number in range(50):
        for session in ("left", "right"):
            asked = f"Question {number}?"
            start = START + number * 9 * SECOND
            write(turn(session, asked=asked, number=number, start=start, tool=False))
    seen, address = [], "/compare?a=left&b=right"
    while address:
        html = ask.get(address).text
        seen += re.findall(r'id="pair-(\d+)"', html)
        following = re.search(r'<a href="([^"]*)" rel="next">', html)
        address = following[1].replace("&amp;", "&") if following else ""
    assert seen == [str(number) for number in range(1, 51)]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 200, "Paste two ids"),
        ("a=one", 200, "Or choose one to compare with"),
        ("a=one&b=nothing", 404, "There is no session <code>nothing</code>"),
        ("a=%3Cb%3E&b=one", 404, "There is no session <code>&lt;b&gt;</code>"),
        ("s=one&s=two&s=three", 400, "Of 3 sessions only two are compared."),
    ],
)
def test_what_is_missing_is_said(ask, both, query, status, said):
    answer = ask.get(f"/compare?{query}")
    assert answer.status_code == status
    assert said in answer.text


def test_sessions_that_begin_alike_are_offered_first(ask, both, write):
    write(turn("newest", "ada", "Something else", start=START + 10_000 * SECOND))
    write(turn("of-bob", "bob", "Where is my order A-17?"))
    html = ask.get("/compare?a=one").text
    offered = re.findall(r'<a href="/compare\?a=one&amp;b=([\w-]+)" data-row', html)
    assert offered == ["two", "of-bob", "newest"]


def test_two_that_are_ticked_are_compared_without_scripts(path, both, visit):
    with serving(path) as (address, _):
        page = visit(address, scripts=False)
        for tick in page.get_by_role("checkbox").all():
            tick.check()
        page.get_by_role("button", name="Compare two").click()
        page.wait_for_url("**/compare?a=two&b=one")
        page.get_by_role("heading", name="Two sessions side by side").wait_for()


def test_keys_tick_and_compare(path, both, visit):
    with serving(path) as (address, _):
        page = visit(address)
        for key in ("j", "c", "j", "c"):
            page.keyboard.press(key)
        page.wait_for_url("**/compare?a=two&b=one")
        page.keyboard.press("j")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.id") == "pair-2"
        page.goto(f"{address}session?id=one")
        page.keyboard.press("c")
        page.wait_for_url("**/compare?a=one")
        assert page.complaints == []


def test_what_is_ticked_stays_ticked_when_new_sessions_come(path, both, visit, write):
    with serving(path) as (address, _):
        page = visit(address)
        page.locator("#live:not([hidden])").wait_for()
        tick = page.locator(".tick[value=one]")
        tick.check()
        tick.blur()
        write(turn("three", "bob", "Something else", start=START + 999 * SECOND))
        page.get_by_role("link", name="Something else").wait_for(timeout=20_000)
        assert page.locator(".tick[value=one]").is_checked()


def test_on_a_narrow_window_one_is_below_the_other(path, both, visit):
    with serving(path) as (address, _):
        page = visit(f"{address}compare?a=one&b=two", width=360)
        boxes = [it.bounding_box() for it in page.locator(".pair .side").all()[:2]]
        assert boxes[0]["x"] == boxes[1]["x"]
        assert boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"]
        page.set_viewport_size({"width": 1280, "height": 900})
        boxes = [it.bounding_box() for it in page.locator(".pair .side").all()[:2]]
        assert boxes[0]["y"] == boxes[1]["y"]
