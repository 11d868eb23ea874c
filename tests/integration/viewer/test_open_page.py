"""A session's page that stays open while turns come and go, and links to turns on other pages."""

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)
playwright = pytest.importorskip("playwright.sync_api")

from clew.sessions.store import SessionStore
from tests.integration.viewer.server import serving
from tests.support.conversation_spans import SECOND, START, turn

pytestmark = pytest.mark.slow
SLOW = 30_000


def said(number, *, user="ada", error=""):
    """Return the spans of a turn, named after when it was."""
    return turn(
        "s", user, f"Question {number}?", "" if error else "Yes.", number=number,
        start=START + number * 60 * SECOND, error=error,
    )  # fmt: skip


def shown(page):
    """Return the number and the question of each turn on the page."""
    return page.eval_on_selector_all(
        ".turn", "all => all.map(it => `${it.id} ${it.querySelector('.user .said').innerText}`)"
    )


def connected(page):
    page.get_by_text("Connected", exact=True).wait_for()
    return page


def test_a_turn_that_comes_late_is_put_where_it_belongs(path, write, visit):
    write(said(2), said(4))
    with serving(path) as (address, _):
        page = connected(visit(f"{address}session?id=s"))
        page.locator("#turn-1 details.step summary").first.click()
        write(said(1), said(3))
        page.locator("#turn-4").wait_for(timeout=SLOW)
        assert shown(page) == [f"turn-{number} Question {number}?" for number in (1, 2, 3, 4)]
        assert page.locator("#turn-2 details[open]").count() == 1
        assert page.locator("#turn-2").get_attribute("aria-label") == "Turn 2"
        assert page.locator("#turn-2 .number").inner_text() == "#2"
        assert page.title() == "Question 1? · clew"
        assert page.complaints == []


def test_what_was_deleted_is_not_shown_any_longer(path, write, visit):
    write(said(1, user="eve"), said(2), said(3, user="eve"))
    with serving(path) as (address, _):
        page = connected(visit(f"{address}session?id=s"))
        for number in (2, 3):
            page.locator(f"#turn-{number} details.step summary").first.click()
        page.locator("#rating summary").click()
        page.locator("#rating textarea").fill("half written")
        with SessionStore(path) as store:
            store.forget(user="eve")
        page.locator("#turn-3").wait_for(state="detached", timeout=SLOW)
        assert shown(page) == ["turn-1 Question 2?"]
        assert page.locator("#turn-1 details[open]").count() == 1
        assert page.locator("#rating textarea").input_value() == "half written"
        assert "Question 1?" not in page.content()
        assert "Question 3?" not in page.content()
        with SessionStore(path) as store:
            store.forget(session="s")
        page.get_by_role("heading", name="No longer there").wait_for(timeout=SLOW)
        assert "Question" not in page.content()


def test_a_page_in_the_midst_keeps_its_turns(path, write, visit):
    write(*(said(number) for number in range(2, 62)))
    with serving(path) as (address, _):
        page = connected(visit(f"{address}session?id=s&turn=31"))
        before = [it.partition(" ")[2] for it in shown(page)]
        assert before[0] == "Question 32?"
        write(said(1))
        page.locator("#turn-32", has_text="Question 32?").wait_for(timeout=SLOW)
        expected = [f"turn-{number} {it}" for number, it in enumerate(before, 32)]
        assert shown(page)[: len(before)] == expected


def test_a_link_to_a_turn_leads_there_wherever_the_page_ends(path, write, visit):
    write(*(said(number) for number in range(1, 61)))
    with serving(path) as (address, _):
        page = visit(f"{address}session?id=s")
        page.evaluate("window.here = true")
        page.locator("#turn-2 .number").click()
        page.wait_for_url(f"{address}session?id=s&turn=2#turn-2")
        assert page.evaluate("window.here"), "the page was loaded anew"
        assert page.locator("#turn-2:target").count() == 1
        page.go_back()
        page.wait_for_url(f"{address}session?id=s")
        page = visit(f"{address}session?id=s#turn-41")
        page.wait_for_url(f"{address}session?id=s&turn=41#turn-41")
        page.locator("#turn-41:target").wait_for()


def test_the_next_bad_turn_is_found_on_later_pages(path, write, visit):
    bad = {3, 41}
    write(*(said(number, error="429" if number in bad else "") for number in range(1, 61)))
    with serving(path) as (address, _):
        page = visit(f"{address}session?id=s")
        page.keyboard.press("e")
        assert page.evaluate("document.activeElement.id") == "turn-3"
        page.keyboard.press("e")
        page.wait_for_url(f"{address}session?id=s&turn=41#turn-41")
        page.keyboard.press("b")
        page.keyboard.press("e")  # There is none after it.
        assert page.url == f"{address}session?id=s&turn=41#turn-41"
        page.goto(f"{address}session?id=s&turn=5")
        page.keyboard.press("b")
        page.wait_for_url(f"{address}session?id=s&turn=41#turn-41")


def test_after_going_back_the_filters_say_what_the_list_shows(server, visit):
    page = visit(server)
    page.get_by_label("Errors").select_option("yes")
    page.wait_for_url("**errors=yes**")
    page.go_back()
    page.wait_for_url(server)
    assert page.get_by_label("Errors").input_value() == ""
    # A page that the browser has kept as it was.
    page.evaluate(
        """() => {
            document.querySelector('[name=errors]').value = 'yes';
            dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
        }"""
    )
    assert page.get_by_label("Errors").input_value() == ""


def test_long_words_and_code_fit_the_conversation(path, write, visit):
    arabic = "مرحبا، أين طلبي؟ `print(1)!`\n\n```\nprint(x[1])!\n```"
    write(turn("s", asked=f"https://example.com/{'a' * 400}", answered=arabic, tool=False))
    with serving(path) as (address, _):
        page = visit(f"{address}session?id=s", width=360)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        for place in (".assistant pre", ".assistant p code"):
            style = page.locator(place).first.evaluate(
                "it => [getComputedStyle(it).direction, getComputedStyle(it).unicodeBidi]"
            )
            assert style == ["ltr", "isolate"], place
