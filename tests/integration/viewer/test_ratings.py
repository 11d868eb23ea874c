"""People rate turns and sessions: what is saved, what is shown, and what is refused."""

import re
import sqlite3
import threading
from contextlib import closing
from html import unescape

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from clew import evaluations
from clew.evaluations import Evaluation
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.integration.viewer.forms import SESSION, actions, token
from tests.support.conversation_spans import SECOND, START, turn
from tests.support.hostile_spans import ATTACKS, EVERYTHING, hostile_session


def pressed(html):
    return re.findall(r'class="thumb (\w+)" aria-pressed="true"', html)


def test_thumbs_are_saved_for_a_turn_and_the_same_turn_comes_back(ask, filled, rate, path):
    answer = rate(2, thumbs="bad")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{SESSION}&turn=2#turn-2")
    with SessionStore(path) as store:
        (found,) = evaluations.current(store)
        second = store.get("chat-42").turns[1]
    assert (found.session_id, found.trace_id, found.root_id) == (
        *("chat-42", second.trace_id),
        second.root_id,
    )
    assert (found.name, found.score, found.label) == ("thumbs", 0.0, "bad")
    assert (found.annotator_kind, found.identifier) == ("HUMAN", "")
    assert pressed(ask.get(SESSION).text) == ["bad"]


def test_thumbs_are_saved_for_a_session(ask, filled, rate, path):
    answer = rate(0, thumbs="good")
    assert answer.headers["location"] == f"{SESSION}#rating"
    with SessionStore(path) as store:
        (found,) = evaluations.current(store)
    assert (found.session_id, found.trace_id, found.score) == ("chat-42", None, 1.0)


def test_changing_and_withdrawing_leave_the_history(filled, rate, said, ask):
    for thumbs in ("good", "bad", "bad", ""):
        rate(thumbs=thumbs)
    assert said() == []
    assert said(all_of_it=True) == [
        ("thumbs", 1.0, "good", ""),
        ("thumbs", 0.0, "bad", ""),  # Once: nothing has changed the second time.
        ("thumbs", None, None, ""),
    ]
    assert pressed(ask.get(SESSION).text) == []


def test_the_history_has_a_page(filled, rate, ask):
    for note in ("first thought", "second thought", ""):
        rate(2, note=note)
    rate(0, thumbs="good")
    rate(2, thumbs="bad")
    html = ask.get(SESSION).text
    session, _, second = [unescape(it) for it in re.findall(r'href="(/history[^"]*)"', html)]
    text = re.sub("<[^>]*>", " ", ask.get(second).text)
    found = re.findall(r"Somebody\s+(\w+)\s+(bad|good)?\s*(replaced|withdrawn)?", text)
    assert found == [
        ("thumbs", "bad", ""),
        ("note", "", "withdrawn"),
        ("note", "", "replaced"),
        ("note", "", "replaced"),
    ]
    assert "first thought" in text
    assert "What was said about turn 2" in text
    text = ask.get(session).text
    assert "first thought" not in text
    assert text.count("<li>") == 1
    assert ask.get("/history?session=unknown").status_code == 404
    assert ask.get("/history?session=chat-42&turn=x").status_code == 404


def test_a_label_and_a_note_are_saved_together_and_one_by_one(filled, rate, said, ask):
    note = "Two lines:\r\nnot sent. 世界"
    rate(label="  wrong   day ", note=note)
    assert said() == [("label", None, "wrong day", ""), ("note", None, note.replace("\r", ""), "")]
    html = ask.get(SESSION).text
    assert "wrong day" in html
    assert "Two lines:\nnot sent. 世界</textarea>" in html
    rate(label="", note=note)
    assert said() == [("note", None, note.replace("\r", ""), "")]
    assert len(said(all_of_it=True)) == 3


def test_a_page_that_is_out_of_date_withdraws_nothing(filled, rate, said):
    """Two tabs are open: one saves a note, and the other, opened before, a label."""
    before = {"knew": "", "who": "", "was_label": "", "was_note": ""}
    rate(label="", note="It was\r\nwrong", **before)
    rate(label="billing", note="", **before)
    assert said() == [("note", None, "It was\nwrong", ""), ("label", None, "billing", "")]
    # Who has seen the note can change or withdraw it.
    shown = {"knew": "", "who": "", "was_label": "billing", "was_note": "It was\r\nwrong"}
    rate(label="billing", note=" ", **shown)
    assert said() == [("label", None, "billing", "")]
    assert len(said(all_of_it=True)) == 3


def test_a_form_says_what_it_showed(filled, rate, ask):
    rate(label='"late"', note="Two\nlines")
    html = unescape(ask.get(SESSION).text)
    assert 'name="was_label" value=""late""' in html
    assert 'name="was_note" value="Two\nlines"' in html


def test_a_name_is_given_once(filled, rate, said, ask):
    rate(thumbs="bad")
    answer = rate(label="late", note="", who=" Kim  O'Neill;é ", knew="")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert "clew_name=" in cookie
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    name = "Kim O'Neill;é"
    # What was said about this turn without a name is said under it now.
    assert sorted(said()) == [("label", None, "late", name), ("thumbs", 0.0, "bad", name)]
    rate(2, thumbs="good")
    assert ("thumbs", 1.0, "good", name) in said()
    html = ask.get(SESSION).text
    assert "Kim O&#39;Neill;é" in html
    # Another page, opened before, knows no name; it does not take it away.
    rate(2, label="", note="x", who="", knew="")
    assert ("note", None, "x", name) in said()
    rate(2, label="", note="y", who="", knew=name)
    assert {("note", None, "x", name), ("note", None, "y", "")} <= set(said())
    assert "clew_name" not in ask.cookies


def test_others_are_shown_beside_and_not_changed(filled, rate, said, ask, path):
    about = {"session_id": "chat-42", "annotator_kind": "HUMAN", "identifier": "Lee"}
    trace = turn()[0].trace_id
    with SessionStore(path) as store:
        evaluations.add(
            store,
            Evaluation("thumbs", score=0, label="bad", **about),
            Evaluation("note", explanation="Lee's reason", **about),
            Evaluation("solved", score=0.12345, explanation="why", session_id="chat-42"),
            Evaluation("of a trace", label="odd", trace_id=trace, session_id="chat-42"),
        )
    rate(0, thumbs="good")
    assert ("thumbs", 0.0, "bad", "Lee") in said()
    html = ask.get(SESSION).text
    head, _, turns = html.partition('id="turn-1"')
    assert pressed(html) == ["good"]
    assert re.search(
        r'aria-label="bad".*?Lee</span> <span class="why".*?Lee&#39;s reason', head, re.DOTALL
    )
    assert "0.123" in head
    assert "of a trace" in turns.partition('id="turn-2"')[0]


def test_a_part_is_returned_to_scripts(filled, rate):
    answer = rate(2, part=True, thumbs="bad")
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert pressed(answer.text) == ["bad"]
    assert "Rating of turn 2" in answer.text


def test_ratings_are_marked_in_the_list_and_found_by_filters(filled, rate, ask):
    html = ask.get("/").text
    assert 'name="rated"' not in html
    rate(2, thumbs="bad")
    rate(0, thumbs="good")
    rate(0, page="/session?id=other", note="odd")
    html = ask.get("/").text
    assert 'aria-label="Rated bad: 1"' in html
    assert 'aria-label="Rated good: 1"' in html
    found = {
        rated: re.findall(
            r'href="/session\?id=([^"&]*)" data-row', ask.get(f"/?rated={rated}").text
        )
        for rated in ("bad", "good", "any")
    }
    assert found == {"bad": ["chat-42"], "good": ["chat-42"], "any": ["other", "chat-42"]}
    html = ask.get("/?rated=bad&order=cost").text
    assert "rated bad" in html
    assert 'value="bad" selected' in html
    assert ask.get("/?rated=worst").status_code == 400


def test_the_first_turn_rated_bad_is_one_click_from_the_list(ask, write, rate):
    for number in range(1, 61):
        write(turn("long", number=number, start=START + number * 60 * SECOND, tool=False))
    for number in (55, 41):
        answer = rate(page=f"/session?id=long&turn={number}", thumbs="bad")
        where = f"/session?id=long&turn={number}#turn-{number}"
        assert answer.headers["location"] == where
    (link,) = re.findall(r'class="thumb bad" href="([^"]*)"', ask.get("/").text)
    answer = ask.get(unescape(link), follow_redirects=False)
    assert answer.headers["location"] == "/session?id=long&turn=41#turn-41"
    html = ask.get("/session?id=long").text
    (first,) = re.findall(r'href="([^"]*)" id="first-bad">', html)
    assert unescape(first) == "/session?id=long&turn=41#turn-41"
    assert "2 in all" in html


def test_a_session_rated_bad_as_a_whole_is_opened(filled, rate, ask):
    rate(0, thumbs="bad")
    answer = ask.get(f"{SESSION}&rated=bad", follow_redirects=False)
    assert answer.headers["location"] == f"{SESSION}#rating"


def test_people_rate_while_applications_write(ask, filled, said, path):
    html = ask.get(SESSION).text
    action, field = actions(html)[1], token(html)
    failures = []

    def write():
        with closing(connect(path)) as connection:
            writer = Writer(connection)
            for number in range(3, 60):
                writer.add(turn(number=number, start=START + number * 60 * SECOND))

    def rate(who):
        for number in range(10):
            data = {"form_token": field, "note": f"{number}", "who": f"person {who}", "knew": ""}
            answer = ask.post(action, data=data, follow_redirects=False)
            if answer.status_code != 303:
                failures.append(answer.text)

    threads = [threading.Thread(target=rate, args=(who,)) for who in range(4)]
    threads.append(threading.Thread(target=write))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(said()) == [("note", None, "9", f"person {who}") for who in range(4)]
    with SessionStore(path) as store:
        assert len(store.get("chat-42").turns) == 59


def test_what_is_forgotten_is_gone_from_the_page_and_the_files(filled, rate, ask, path):
    rate(note="zanzibarnote")
    assert "zanzibarnote" in ask.get(SESSION).text
    with SessionStore(path) as store:
        store.forget(session="chat-42")
    assert ask.get(SESSION).status_code == 404
    assert 'name="rated"' not in ask.get("/").text
    assert [it for it in path.parent.iterdir() if b"zanzibarnote" in it.read_bytes()] == []


@pytest.mark.parametrize("attack", [*ATTACKS, EVERYTHING])
def test_hostile_notes_are_shown_as_they_were_written(ask, write, attack):
    write(hostile_session(session="s"))
    html = ask.get("/session?id=s").text
    data = {"note": attack, "label": attack[:100], "who": attack[:100], "knew": ""}
    data = {name: text.encode("utf-8", "replace").decode() for name, text in data.items()}
    answer = ask.post(actions(html)[1], data={**data, "form_token": token(html)})
    assert answer.status_code == 200
    for page in ("/session?id=s", "/"):
        html = ask.get(page).text
        assert re.findall(r"<script(?![^>]*src=)|<iframe|<base|<link rel=stylesheet", html) == []
        assert re.findall(r"<style|\sstyle=|<[^>]*\son\w+=", re.sub(r'"[^"]*"', '""', html)) == []
        assert not re.search(
            "[\u202e\u2066\x1b\x07]",
            re.sub('<textarea.*?</textarea>|value="[^"]*"', "", html, flags=re.DOTALL),
        )


def test_reading_the_page_writes_no_evaluations(ask, filled, path):
    for page in ("/", "/users", "/overview", SESSION, f"{SESSION}&rated=bad"):
        ask.get(page)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM evaluation").fetchone() == (0,)
