"""What is refused of what is sent to the page: nothing of it is saved, and nothing is lost."""

import re
from contextlib import closing

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from clew.store import database
from clew.store.database import connect, transaction
from tests.integration.viewer.forms import SESSION, actions, token

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("given", [None, "", "wrong", "é?"])
def test_without_the_token_nothing_is_saved_and_nothing_lost(ask, filled, said, given):
    html = ask.get(SESSION).text
    data = {"note": "long <thought>", "label": "late"} | (
        {} if given is None else {"form_token": given}
    )
    answer = ask.post(actions(html)[1], data=data)
    assert answer.status_code == 403
    assert said() == []
    assert "long &lt;thought&gt;</textarea>" in answer.text
    # It can be sent again from there.
    data = {"note": "long <thought>", "form_token": token(answer.text)}
    again = ask.post(actions(answer.text)[0], data=data, follow_redirects=False)
    assert again.status_code == 303
    assert said() == [("note", None, "long <thought>", "")]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:8080"},
        {"origin": "https://localhost"},
        {
            "sec-fetch-site": "cross-site",
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "document",
        },
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"host": "evil.example"},
    ],
)
def test_forms_of_other_sites_are_refused(ask, filled, said, headers):
    html = ask.get(SESSION).text
    data = {"thumbs": "bad", "form_token": token(html)}
    answer = ask.post(actions(html)[1], data=data, headers=headers)
    assert answer.status_code == 403
    assert said() == []
    assert token(html) not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://localhost", "sec-fetch-site": "same-origin"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
        {"origin": "null"},
    ],
)
def test_forms_of_its_own_pages_are_accepted(ask, filled, headers):
    html = ask.get(SESSION).text
    data = {"thumbs": "bad", "form_token": token(html)}
    answer = ask.post(actions(html)[1], data=data, headers=headers, follow_redirects=False)
    assert answer.status_code == 303


def test_where_a_token_is_needed_to_read_it_is_needed_to_write(path, filled, said):
    from starlette.testclient import TestClient

    from clew.viewer.app import create_app

    with TestClient(create_app(path, token="a secret"), base_url="http://10.1.2.3") as client:
        html = client.get("/session?id=chat-42&token=a+secret").text
        data = {"thumbs": "bad", "form_token": token(html)}
        client.cookies.clear()
        assert client.post(actions(html)[1], data=data).status_code == 401
    assert said() == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_forms_that_are_sent_write(ask, filled, said, method):
    html = ask.get(SESSION).text
    address = f"{actions(html)[1]}&thumbs=bad&form_token={token(html)}"
    assert ask.request(method, address).status_code == 405
    assert said() == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"thumbs": "perhaps"}, "thumbs=&#39;perhaps&#39; is not known"),
        ({"label": "x" * 101}, "the label has 101 characters; at most 100"),
        ({"note": "x" * 20_001}, "the note has 20,001 characters; at most 20,000"),
        ({"note": "kept", "who": "x" * 101}, "your name has 101 characters"),
        ({}, "the form says nothing"),
    ],
)
def test_what_cannot_be_saved_is_named_and_comes_back(filled, rate, said, fields, message):
    answer = rate(**fields)
    assert answer.status_code == 400
    assert message in answer.text
    assert said() == []
    if "note" in fields:
        assert f"{fields['note']}</textarea>" in answer.text


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"note=%ff%fe", FORM, 400),
        (b"note=\xff", FORM, 400),
        (b"&".join(b"a=%d" % n for n in range(100)), FORM, 400),
        (b'{"thumbs": "bad"}', {"content-type": "application/json"}, 415),
        (b"", {}, 415),
        (b"note=" + b"x" * 10_000_000, FORM, 413),
    ],
)
def test_what_is_no_form_is_refused(ask, filled, said, body, headers, status):
    html = ask.get(SESSION).text
    body = body and b"form_token=" + token(html).encode() + b"&" + body
    answer = ask.post(actions(html)[1], content=body, headers=headers)
    assert answer.status_code == status
    assert "Not saved" in answer.text
    assert said() == []


def test_a_note_that_is_too_long_in_pieces_is_refused_too(ask, filled, said):
    html = ask.get(SESSION).text
    sent = []

    def pieces():
        yield f"form_token={token(html)}&note=".encode()
        for _ in range(1000):
            sent.append(1)
            yield b"x" * 10_000

    answer = ask.post(actions(html)[1], content=pieces(), headers=FORM)
    assert answer.status_code == 413
    assert "at most 800,000 bytes" in answer.text
    assert said() == []


@pytest.mark.parametrize(
    "query",
    [
        "session=unknown",
        "",
        "session=chat-42&turn=nothing",
        f"session=chat-42&turn={'0' * 32}-{'0' * 16}",
        "session=other&turn={turn}",
    ],
)
def test_what_is_not_there_is_not_rated(ask, filled, said, query):
    html = ask.get(SESSION).text
    key = re.search(r"turn=([0-9a-f]+-[0-9a-f]+)", html)[1]
    data = {"thumbs": "bad", "form_token": token(html)}
    answer = ask.post(f"/evaluations?{query.format(turn=key)}", data=data)
    assert answer.status_code == 404
    assert said() == []


def test_a_store_in_use_is_said_to_be_and_the_note_comes_back(
    filled, rate, said, path, monkeypatch
):
    monkeypatch.setattr("clew.evaluations.results._SECONDS", 0.05)
    said()  # The summaries are made now.
    with closing(connect(path)) as other, transaction(other):
        answer = rate(note="a thought", label="late")
    assert answer.status_code == 503
    assert "is being written by another process" in answer.text
    assert "a thought</textarea>" in answer.text
    assert said() == []


def test_a_store_that_may_not_be_written_is_said_to_be(filled, rate, said, path, monkeypatch):
    written = database._open

    def read_only(path, options, timeout):
        return written(path, options.replace("mode=rw", "mode=ro"), timeout)

    said()  # The summaries are made now.
    with monkeypatch.context() as patch:
        patch.setattr(database, "_open", read_only)
        answer = rate(note="a thought")
    assert answer.status_code == 503
    assert "may not be written" in answer.text
    assert "a thought</textarea>" in answer.text
    assert said() == []
