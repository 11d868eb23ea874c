"""Rating in a real browser, with scripts and without."""

import time

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)
playwright = pytest.importorskip("playwright.sync_api")

from contextlib import closing

from clew import evaluations
from clew.sessions.store import SessionStore
from clew.store.database import connect, transaction
from tests.integration.viewer.server import serving
from tests.support.conversation_spans import SECOND, START, turn

pytestmark = pytest.mark.slow


@pytest.fixture
def said(path):
    """Return what counts: names, labels or notes, and who says it."""

    def said():
        with SessionStore(path) as store:
            found = evaluations.current(store)
            return [(it.name, it.label or it.explanation, it.identifier) for it in found]

    return said


def a_turn(page, number):
    return page.get_by_role("region", name=f"Rating of turn {number}")


def wait_until_said(page, said, wanted, seconds=20):
    """Wait until this is what the store contains: a click does not wait for what it leads to."""
    until = time.monotonic() + seconds
    while (found := sorted(said())) != sorted(wanted):
        assert time.monotonic() < until, found
        page.wait_for_timeout(20)


def test_without_scripts(server, visit, said):
    page = visit(f"{server}session?id=chat-42", scripts=False)
    a_turn(page, 2).get_by_role("button", name="Bad").click()
    page.wait_for_url(f"{server}session?id=chat-42&turn=2#turn-2")
    wait_until_said(page, said, [("thumbs", "bad", "")])
    a_turn(page, 2).get_by_role("button", name="Bad", pressed=True).wait_for()
    a_turn(page, 2).locator("summary").click()
    a_turn(page, 2).get_by_label("Your name").fill("Kim")
    a_turn(page, 2).get_by_role("textbox", name="Note", exact=True).fill("Not sent.\nAsk again.")
    a_turn(page, 2).get_by_role("button", name="Save").click()
    page.wait_for_url(f"{server}session?id=chat-42&turn=2#turn-2")
    wait_until_said(
        page, said, [("note", "Not sent.\nAsk again.", "Kim"), ("thumbs", "bad", "Kim")]
    )
    page.get_by_role("link", name="Sessions").first.click()
    page.get_by_label("Ratings").select_option("bad")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="Rated bad: 1").click()
    page.wait_for_url(f"{server}session?id=chat-42&turn=2#turn-2")
    a_turn(page, 2).get_by_role("button", name="Bad", pressed=True).click()
    a_turn(page, 2).get_by_role("button", name="Bad", pressed=False).wait_for()
    a_turn(page, 2).locator("summary").click()
    a_turn(page, 2).get_by_role("textbox", name="Note", exact=True).fill("")
    a_turn(page, 2).get_by_role("button", name="Save").click()
    wait_until_said(page, said, [])
    session = page.get_by_role("region", name="Rating of this session")
    session.get_by_role("button", name="Good").click()
    page.wait_for_url(f"{server}session?id=chat-42#rating")
    wait_until_said(page, said, [("thumbs", "good", "Kim")])


def test_with_scripts_the_page_stays(server, visit, said):
    page = visit(f"{server}session?id=chat-42")
    page.evaluate("window.here = true")
    a_turn(page, 1).locator("summary").click()
    a_turn(page, 1).get_by_role("textbox", name="Note", exact=True).fill("half writ")
    a_turn(page, 1).get_by_role("button", name="Bad").click()
    a_turn(page, 1).get_by_role("button", name="Bad", pressed=True).wait_for()
    assert (
        a_turn(page, 1).get_by_role("textbox", name="Note", exact=True).input_value() == "half writ"
    )
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Bad"
    a_turn(page, 1).get_by_role("textbox", name="Note", exact=True).fill("written")
    a_turn(page, 1).get_by_label("Your name").fill("Kim")
    a_turn(page, 1).get_by_role("button", name="Save").click()
    a_turn(page, 1).locator("summary", has_text="written").wait_for()
    wait_until_said(page, said, [("note", "written", "Kim"), ("thumbs", "bad", "Kim")])
    a_turn(page, 2).locator("summary").click()
    # What was read of the store before may come once more until what was saved is read.
    playwright.expect(a_turn(page, 2).get_by_label("Your name")).to_have_value("Kim")
    a_turn(page, 2).get_by_role("textbox", name="Label").fill("late")
    page.keyboard.press("Enter")
    a_turn(page, 2).locator("summary", has_text="late").wait_for()
    assert ("label", "late", "Kim") in said()
    assert page.evaluate("window.here")
    page.wait_for_url(f"{server}session?id=chat-42")
    assert page.complaints == []


def test_by_keys_alone(server, visit, said):
    page = visit(f"{server}session?id=chat-42")
    a_turn(page, 1).get_by_role("button", name="Good").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    a_turn(page, 1).get_by_role("button", name="Bad", pressed=True).wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("a/j?")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("gs")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    a_turn(page, 1).locator("summary", has_text="gs").wait_for()
    wait_until_said(page, said, [("thumbs", "bad", ""), ("label", "a/j?", ""), ("note", "gs", "")])


def test_what_is_being_written_stays_while_turns_come_in(server, visit, write, path):
    page = visit(f"{server}session?id=chat-42")
    page.get_by_text("Live", exact=True).wait_for()
    session = page.get_by_role("region", name="Rating of this session")
    for box in (session, a_turn(page, 2)):
        box.locator("summary").click()
        box.get_by_role("textbox", name="Note", exact=True).fill("half written")
    page.locator("h1").click()
    write(turn(asked="Question 3?", number=3, start=START + 180 * SECOND, tool=False))
    page.get_by_text("Question 3?").first.wait_for(timeout=20_000)
    for box in (session, a_turn(page, 2)):
        assert box.get_by_role("textbox", name="Note", exact=True).input_value() == "half written"
    assert page.complaints == []


def test_what_others_say_appears_by_itself(server, visit, path, said):
    there, listed = visit(f"{server}session?id=chat-42"), visit(server)
    for page in (there, listed):
        page.get_by_text("Live", exact=True).wait_for()
    other = visit(f"{server}session?id=chat-42")
    a_turn(other, 2).locator("summary").click()
    a_turn(other, 2).get_by_label("Your name").fill("Kim")
    a_turn(other, 2).get_by_role("textbox", name="Note", exact=True).fill("A wrong day.")
    a_turn(other, 2).get_by_role("button", name="Save").click()
    a_turn(other, 2).locator("summary", has_text="A wrong day.").wait_for()
    a_turn(other, 2).get_by_role("button", name="Bad").click()
    a_turn(there, 2).locator(".remarks").get_by_text("A wrong day.").wait_for(timeout=20_000)
    there.get_by_role("link", name="First turn rated bad: #2").wait_for(timeout=20_000)
    listed.get_by_role("link", name="Rated bad: 1").wait_for(timeout=20_000)
    assert there.complaints + listed.complaints + other.complaints == []


def test_a_page_that_is_older_than_the_server_saves_too(path, filled, visit, said):
    with serving(path) as (address, _):
        port = address.rstrip("/").rpartition(":")[2]
        page = visit(f"{address}session?id=chat-42")
        plain = visit(f"{address}session?id=chat-42", scripts=False)
    a_turn(page, 1).get_by_role("button", name="Bad").click()
    a_turn(page, 1).get_by_text("Not saved: the server does not answer.").wait_for()
    with serving(path, "--port", port):
        a_turn(page, 1).get_by_role("button", name="Bad").click()
        a_turn(page, 1).get_by_role("button", name="Bad", pressed=True).wait_for()
        assert said() == [("thumbs", "bad", "")]
        a_turn(plain, 2).locator("summary").click()
        a_turn(plain, 2).get_by_role("textbox", name="Note", exact=True).fill("a thought")
        a_turn(plain, 2).get_by_role("button", name="Save").click()
        plain.get_by_text("The server was started anew").wait_for()
        assert len(said()) == 1
        plain.get_by_role("button", name="Save").click()
        assert plain.url == f"{address}session?id=chat-42&turn=2#turn-2"
        assert ("note", "a thought", "") in said()


def test_a_store_in_use_is_said_to_be_and_the_note_stays(server, visit, said, path):
    page = visit(f"{server}session?id=chat-42")
    a_turn(page, 1).locator("summary").click()
    a_turn(page, 1).get_by_role("textbox", name="Note", exact=True).fill("a thought")
    with closing(connect(path)) as other, transaction(other):
        a_turn(page, 1).get_by_role("button", name="Save").click()
        a_turn(page, 1).get_by_text("is being written by another process").wait_for()
    assert (
        a_turn(page, 1).get_by_role("textbox", name="Note", exact=True).input_value() == "a thought"
    )
    wait_until_said(page, said, [])
    a_turn(page, 1).get_by_role("button", name="Save").click()
    a_turn(page, 1).get_by_text("Saved", exact=True).wait_for()
    wait_until_said(page, said, [("note", "a thought", "")])


def test_a_page_of_another_site_writes_nothing(server, visit, said, tmp_path):
    """The other site knows no token; even with one, the browser says where the form comes from."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    page = visit(f"{server}session?id=chat-42")
    token = page.locator("[name=form_token]").first.get_attribute("value")
    form = (
        f'<form method="post" action="{server}evaluations?session=chat-42">'
        f'<input name="form_token" value="{token}"><button name="thumbs" value="bad">x</button>'
    )

    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(form.encode())

        def log_message(self, *_):
            pass

    other = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    Thread(target=other.serve_forever, daemon=True).start()
    try:
        for host in ("127.0.0.1", "localhost"):  # The same site at another port, and another site.
            page.goto(f"http://{host}:{other.server_port}/")
            page.get_by_role("button").click()
            page.get_by_text("Only the pages of this server").wait_for()
    finally:
        other.shutdown()
        other.server_close()
    wait_until_said(page, said, [])
