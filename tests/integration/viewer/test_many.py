"""What the pages need at many sessions and spans, and what is sent from elsewhere."""

import re
from html import unescape

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from clew.store.otlp import from_json, to_protobuf
from clew.store.record import SpanRecord
from clew.viewer import readers
from tests.support.conversation_spans import SECOND, START, turn

DAY = 24 * 60 * 60 * SECOND


def sessions_in(html):
    found = re.findall(r'href="/session\?id=([^"]*)" data-row', html)
    return [unescape(it) for it in found]


@pytest.fixture
def released(write):
    """Three sessions whose turns say which release answered."""
    for number, release in enumerate(["1.2", "1.2", "1.3"]):
        spans = turn(f"s{number}", number=number, start=START + number * SECOND)
        spans[-1].attributes["metadata"] = f'{{"release": "{release}", "<b>": "&"}}'
        write(spans)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("metadata=release=1.2", ["s1", "s0"]),
        ("metadata=release%3D1.3", ["s2"]),
        ("metadata=release=", []),
        ("metadata=%3Cb%3E=%26&order=first&direction=up", ["s0", "s1", "s2"]),
    ],
)
def test_sessions_are_found_by_metadata(ask, released, query, found):
    html = ask.get(f"/?{query}").text
    assert sessions_in(html) == found
    assert 'aria-label="Remove the filter metadata: ' in html


def test_the_names_of_metadata_are_offered(ask, released, write):
    html = ask.get("/").text
    assert re.findall(r'<option value="([^"]*=)">', html) == ["&lt;b&gt;=", "release="]
    assert 'name="metadata" value="release=1.2"' in ask.get("/?metadata=release=1.2").text
    assert ask.get("/?metadata=release").status_code == 400


def test_nothing_is_offered_where_there_is_no_metadata(ask, filled):
    assert 'name="metadata"' not in ask.get("/").text


def test_the_worst_come_first(ask, write):
    for number in range(4):
        start = START + number * 60 * SECOND
        write(turn("half", number=number, start=start, error="429" if number % 2 else ""))
        write(turn("quarter", number=number, start=start, error="" if number else "429"))
        write(turn("good", number=number, start=start))
    write(turn("all", error="429"))
    html = ask.get("/?order=worst").text
    assert sessions_in(html) == ["all", "half", "quarter", "good"]
    assert re.search(r'<a href="/\?order=worst" aria-current=true>Worst</a>', html)
    assert sessions_in(ask.get("/?order=worst&after=half").text) == ["quarter", "good"]


def test_a_trace_comes_in_pieces_that_are_one_document(ask, write, monkeypatch):
    monkeypatch.setattr(readers, "_BATCH_SPANS", 2)
    spans = turn(found=("One.",))
    write(spans)
    answer = ask.get(f"/trace.json?trace={spans[0].trace_id.hex()}")
    assert answer.headers["content-type"] == "application/json"
    assert "content-length" not in answer.headers
    received = from_json(answer.content)
    assert [it.name for it in received] == [it.name for it in sorted(spans, key=lambda s: s.start)]
    assert {it.span_id: it.attributes for it in received} == {
        it.span_id: it.attributes for it in spans
    }
    assert ask.get(f"/trace.json?trace={'0' * 32}").status_code == 404


def test_a_tree_is_shown_without_reading_what_is_huge(ask, write, monkeypatch):
    spans = turn(asked="word " * 300_000)
    write(spans)
    monkeypatch.setattr(readers.Reader, "spans", None)  # It would be called to read them.
    html = ask.get(f"/trace?trace={spans[0].trace_id.hex()}").text
    assert "get_order" in html
    assert "4 spans" in html or "3 spans" in html


def test_the_overview_and_the_users_add_up(ask, write):
    for number in range(6):
        start = START + number % 2 * DAY + number * SECOND
        user = ("ada", "bob", "ada")[number % 3]
        error = "429" if number == 4 else ""
        write(turn(f"s{number}", user, number=number, start=start, error=error, cost=0.5))
    html = ask.get("/overview").text
    figures = dict(re.findall(r"<h2>(.*?)</h2><p class=\"figure\">(.*?)</p>", html))
    assert figures["Sessions"] == figures["Turns"] == "6"
    assert figures["Failed turns"].startswith("1 ")
    assert figures["Users"] == "up to 2 a day"
    assert figures["Cost"] == "$3.00"
    rows = re.findall(
        r'<a href="/\?user=(\w+)" data-row>.*?</tr>', ask.get("/users").text, re.DOTALL
    )
    assert rows == ["ada", "bob"]  # The one seen last first.
    by_sessions = ask.get("/users?order=sessions").text
    assert re.findall(r'href="/\?user=(\w+)" data-row', by_sessions) == ["ada", "bob"]
    figures = re.findall(r'<td class="right figure">(\d)</td>', by_sessions)
    assert figures[:2] == ["4", "4"]  # Ada's sessions and turns.
    failed = ask.get("/users?order=failed").text
    assert re.findall(r'href="/\?user=(\w+)" data-row', failed)[0] == "bob"
    assert re.search(r'href="/session\?id=s4">', failed)


EVERYWHERE = ".".join("0000")
OTLP = {"content-type": "application/x-protobuf"}
BEARER = {"authorization": "Bearer a secret"}


@pytest.mark.parametrize("host", ["box.example:4319", "192.168.1.5:4319", "localhost"])
def test_who_has_the_token_may_send_under_any_name(path, host):
    from starlette.testclient import TestClient

    from clew.viewer.app import create_app

    app = create_app(path, hosts=[EVERYWHERE], token="a secret")
    span = SpanRecord(b"t" * 16, b"s" * 8, None, "sent", 1, 2, {"session.id": "s"})
    body = to_protobuf([span])
    with TestClient(app, base_url="http://localhost") as client:

        def send(**headers):
            given = {**OTLP, "host": host, **headers}
            return client.post("/v1/traces", content=body, headers=given).status_code

        assert send() in {401, 403}
        assert send(authorization="Bearer another") in {401, 403}
        assert not path.exists()
        assert send(**BEARER, origin="http://evil.example") == 403
        assert send(**BEARER) == 200
        assert client.get("/", headers={"host": host, **BEARER}).status_code == 200
