"""The page in a real browser: nothing that was stored runs there, and everything can be reached."""

import os
import re
from itertools import pairwise
from urllib.parse import urlencode

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from clew import evaluations
from clew.evaluations import Evaluation
from clew.sessions.store import SessionStore
from tests.integration.viewer.server import serving
from tests.support.conversation_spans import SECOND, START, turn
from tests.support.hostile_spans import ATTACKS, EVERYTHING, ONE_LINE, hostile_session

pytestmark = pytest.mark.slow

PAGES = (
    "",
    "?user=ada",
    "?rated=bad",
    "users",
    "overview",
    "metrics",
    "metrics?by=day&metric=cost",
    "differences",
    "differences?by=model",
    "live",
    "live?user=nobody",
    "session?id=chat-42",
    "session?id=chat-43",
    "session?id=nothing",
    "history?session=chat-42",
    "compare?a=chat-42&b=chat-43",
    "compare?a=chat-42",
    "compare?a=chat-42&b=nothing",
)


_HREFS = "all => all.map(it => new URL(it.getAttribute('href') ?? '', location).href)"


def attacked(page, address):
    """Return what an attack has achieved on this page."""
    found = [url for url in page.requested if not url.startswith((address, "data:image/png"))]
    if page.evaluate("'attacked' in window"):
        found.append("a script ran")
    return found + page.complaints


_TURN = re.compile(r"&turn=\d+(?=&|$)")


def compared(page):
    """Return the address at which two hostile sessions are compared."""
    ids = page.eval_on_selector_all(".tick", "all => all.map(it => it.value)")
    base = page.url.partition("?")[0]
    return [f"{base}compare?{urlencode({'a': a, 'b': b})}" for a, b in pairwise(ids[:4])]


@pytest.mark.timeout(300)
def test_hostile_contents_run_nothing_and_fetch_nothing(path, write, visit):
    write(*(hostile_session(number) for number in range(len(ATTACKS))))
    write(hostile_session(90, session=ONE_LINE), hostile_session(91, session="../../etc/passwd"))
    rate(path, hostile_session)
    with serving(path) as (address, _):
        page = visit(address)
        seen = set()
        waiting = [
            address,
            *(
                f"{address}{it}"
                for it in (
                    "users",
                    "overview",
                    "metrics",
                    "differences?by=tag",
                    "live",
                    "?errors=yes",
                    "?rated=bad",
                )
            ),
        ]
        waiting += compared(page)
        while waiting and len(seen) < 90:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            page.goto(current)
            page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
            page.evaluate(
                "for (const it of document.querySelectorAll('main *'))"
                " for (const kind of ['mouseover', 'focus', 'error', 'load'])"
                "  it.dispatchEvent(new Event(kind))"
            )
            assert attacked(page, address) == [], current
            assert page.locator("#main").is_visible()
            links = page.eval_on_selector_all("main a", _HREFS)
            # A session from one of its turns on has the same contents.
            inside = [_TURN.sub("", it.partition("#")[0]) for it in links if it.startswith(address)]
            waiting += [it for it in inside if not re.search(r"/\w+\.(json|txt|py)\?", it)][:40]
            outside = [it for it in links if not it.startswith(address)]
            assert all(it.startswith(("http:", "https:", "mailto:")) or not it for it in outside)
        assert len(seen) > 40


def rate(path, spans_of):
    """Say something hostile about each session and turn, under hostile names."""
    with SessionStore(path) as store:
        for number, attack in enumerate(ATTACKS):
            root = spans_of(number)[0]
            session = root.attributes["session.id"].encode("utf-8", "replace").decode()
            turn = {"session_id": session, "trace_id": root.trace_id, "root_id": root.span_id}
            person = {"annotator_kind": "HUMAN", "identifier": attack[:100] * (number % 2)}
            evaluations.add(
                store,
                Evaluation("thumbs", score=0, label="bad", **turn, **person),
                Evaluation("label", label=attack[:100], **turn, **person),
                Evaluation("note", explanation=EVERYTHING, **turn, **person),
                Evaluation("note", explanation=attack, session_id=session, **person),
                Evaluation(attack, label=attack, explanation=EVERYTHING, identifier=attack, **turn),
            )


def test_links_from_contents_say_nothing_about_where_they_were(path, write, visit):
    write(turn(answered="[a link](https://example.com/there)", tool=False))
    with serving(path) as (address, _):
        link = visit(f"{address}session?id=chat-42").get_by_role("link", name="a link")
        assert link.get_attribute("rel") == "noreferrer noopener"


def test_everything_can_be_read_without_scripts(server, visit):
    page = visit(server, scripts=False)
    page.get_by_label("Search what was said").fill("order")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="Where is my order A-17?").click()
    page.get_by_text("It was sent yesterday.").first.wait_for()
    page.get_by_text("get_order").click()
    page.get_by_text('"status": "sent"').wait_for()
    page.get_by_role("link", name="spans").first.click()
    page.locator("summary", has_text="ask").click()
    page.get_by_role("link", name="Everything about this span").last.click()
    assert page.get_by_text("llm.model_name").or_(page.get_by_text("llm.token_count")).count()


def test_the_whole_of_a_recorded_text_is_never_taken_for_a_page(path, write, visit):
    hostile = "x" * 1200 + "<div data-inside><h1>Signed out</h1></div>"
    write(turn(asked=hostile, tool=False))
    with serving(path) as (address, _):
        page = visit(f"{address}session?id=chat-42")
        page.get_by_role("link", name="spans").first.click()
        page.locator(".loaded summary", has_text="ask").click()
        page.get_by_text("llm.input_messages.1.message.content").wait_for()
        page.locator(".loaded [data-whole]").first.click()
        page.wait_for_url("**/trace.json**")  # As without scripts.
        assert "<h1>Signed out</h1>" in page.content() or "&lt;h1&gt;" in page.content()
        assert page.get_by_role("heading", name="Signed out").count() == 0


def test_parts_are_loaded_where_they_are_unfolded(server, visit):
    page = visit(f"{server}session?id=chat-42")
    page.get_by_role("link", name="spans").first.click()
    page.locator(".loaded summary", has_text="ask").click()
    page.get_by_text("llm.input_messages.0.message.role").wait_for()
    assert page.url == f"{server}session?id=chat-42"
    page.get_by_role("link", name="Prompt").click()
    page.get_by_text("Besides what the user said last").wait_for()
    assert page.complaints == []


def test_keys_go_through_sessions_and_turns(server, visit):
    page = visit(server)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/session?id=chat-42")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == "turn-2"
    page.keyboard.press("g")
    page.keyboard.press("u")
    page.wait_for_url("**/users")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url(server)
    page.keyboard.press("/")
    page.keyboard.type("order gj?")
    assert page.get_by_label("Search what was said").input_value() == "order gj?"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert page.complaints == []


def test_the_next_failed_turn_is_one_key_away(path, write, visit):
    for number in range(1, 8):
        error = "429 Too Many" if number in {3, 6} else ""
        start = START + number * 60 * SECOND
        write(turn("s", number=number, start=start, error=error, answered="" if error else "Yes."))
    with serving(path) as (address, _):
        page = visit(f"{address}session?id=s")
        focused = []
        for _ in range(2):
            page.keyboard.press("e")
            focused.append(page.evaluate("document.activeElement.id"))
        assert focused == ["turn-3", "turn-6"]


@pytest.mark.parametrize(
    "address",
    ["", "live", "session?id=chat-42", "compare?a=chat-42&b=chat-43", "compare?a=chat-42"],
)
def test_every_control_is_reached_by_the_tab_key(server, visit, address):
    page = visit(f"{server}{address}")
    page.evaluate("for (const it of document.querySelectorAll('.noting')) it.open = true")
    wanted = "a[href], summary, button, textarea, select, input:not([type=hidden])"
    controls = page.locator(", ".join(f"{it}:visible" for it in wanted.split(", "))).count()
    reached = set()
    for _ in range(controls + 20):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                f"[...document.querySelectorAll('{wanted}')].indexOf(document.activeElement)"
            )
        )
    assert len(reached - {-1}) >= controls


def test_new_turns_appear_by_themselves(path, filled, write, visit):
    with serving(path) as (address, _):
        there = visit(f"{address}session?id=chat-42")
        listed = visit(address)
        for page in (there, listed):
            page.get_by_text("Connected", exact=True).wait_for()
        opened = there.locator("#turn-1 summary", has_text="get_order")
        opened.click()
        write(turn(asked="Question 3?", number=3, start=START + 180 * SECOND, tool=False))
        there.get_by_text("Question 3?").first.wait_for(timeout=20_000)
        write(turn(asked="Question 4?", number=4, start=START + 240 * SECOND, tool=False))
        there.get_by_text("Question 4?").first.wait_for(timeout=20_000)
        listed.get_by_text("4 turns").wait_for(timeout=20_000)
        assert there.locator("#turn-1 details[open]").count() == 1
        assert there.complaints == []


def test_the_first_conversation_appears_by_itself(path, write, visit):
    with serving(path) as (address, _):
        page = visit(address)
        page.get_by_text("Connected", exact=True).wait_for()
        write(turn())
        page.get_by_role("link", name="Where is my order A-17?").wait_for(timeout=20_000)


@pytest.mark.parametrize("width", [320, 360, 1280, 2560])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_the_window(server, rated, visit, width, scheme):
    page = visit(server, width=width, scheme=scheme)
    for address in PAGES:
        page.goto(f"{server}{address}")
        page.evaluate("for (const it of document.querySelectorAll('.noting')) it.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    assert [it for it in page.complaints if "404" not in it] == []


def violations(page, script):
    page.add_script_tag(path=script)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [(it["id"], it["nodes"][0]["html"]) for it in result["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(server, rated, chromium, scheme):
    """With axe-core's axe.min.js, from npm, named by AXE_CORE."""
    if not (script := os.environ.get("AXE_CORE")):
        pytest.skip("AXE_CORE names no axe.min.js: npm install axe-core")
    context = chromium.new_context(bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{server}session?id=chat-42")
    links = page.eval_on_selector_all("main a", "all => all.map(it => it.getAttribute('href'))")
    kinds = ("/trace", "/call", "/history")
    parts = [next(it for it in links if it.startswith(kind)) for kind in kinds]
    for address in [*(f"/{it}" for it in PAGES), "/?user=nobody", *parts]:
        page.goto(f"{server.rstrip('/')}{address}")
        page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
        assert violations(page, script) == [], address
    page.goto(f"{server}session?id=chat-42")
    page.evaluate("document.querySelectorAll('[name=form_token]').forEach(it => it.value = '')")
    page.evaluate("document.querySelector('.noting form').submit()")
    page.get_by_role("heading", name="Not saved").wait_for()
    assert violations(page, script) == []
    context.close()


_CONTRAST = """
() => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
  const paint = canvas.getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const part = (v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    return .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
  };
  const ground = (it) => {
    for (; it; it = it.parentElement) {
      const colour = rgba(getComputedStyle(it).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgba(getComputedStyle(document.documentElement).backgroundColor);
  };
  const weak = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const it = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !it.checkVisibility()) continue;
    const [a, b] = [light(rgba(getComputedStyle(it).color)), light(ground(it))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) weak.add(`${it.className || it.tagName}: ${ratio.toFixed(2)}`);
  }
  return [...weak];
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_told_from_their_ground(server, rated, visit, scheme):
    page = visit(server, scheme=scheme)
    for address in PAGES:
        page.goto(f"{server}{address}")
        page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
        assert page.evaluate(_CONTRAST) == [], address
