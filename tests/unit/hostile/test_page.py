"""Whatever an address of the page says, the answer is a page, and no error of the server."""

import ast
import asyncio
import re
from contextlib import closing
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

for _needed in ("starlette", "httpx", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from starlette.testclient import TestClient

from clew.store.database import connect
from clew.store.writer import Writer
from clew.viewer.app import create_app
from tests.support.conversation_spans import SECOND, START, turn
from tests.support.hostile_spans import ATTACKS, hostile_session
from tests.unit.hostile.inputs import texts

FIRST = turn(found=("Parcels take two days.",))
TURN = f"{FIRST[0].trace_id.hex()}-{FIRST[0].span_id.hex()}"
PATHS = [
    "/",
    "/session",
    "/history",
    "/compare",
    "/session.json",
    "/session.py",
    "/turn.json",
    "/turn.py",
    "/live",
    "/turn",
    "/users",
    "/overview",
    "/metrics",
    "/differences",
    "/call",
    "/content",
    "/content.txt",
    "/trace",
    "/trace.json",
    "/span",
    "/static/main.js",
    "/static/../app.py",
    "/static/%2e%2e/app.py",
    "/favicon.ico",
    "/v1/traces",
    "//outside",
]
NAMES = [
    "a",
    "after",
    "all",
    "b",
    "bad",
    "by",
    "call",
    "days",
    "direction",
    "errors",
    "failed",
    "form",
    "framework",
    "from",
    "group",
    "id",
    "left",
    "metadata",
    "metric",
    "model",
    "name",
    "number",
    "order",
    "part",
    "rated",
    "right",
    "seen",
    "session",
    "since",
    "span",
    "start",
    "tag",
    "text",
    "tool",
    "trace",
    "turn",
    "until",
    "user",
]
KNOWN = [
    "chat-42", "chat-43", "ada", "first", "worst", "yes", "no", "bad", "any", "1", "2", "25", "up",
    "7d", "999999w", "cost", "last", "metadata.x", "model", "day", "deepeval", "input", "output",
    "call.0.input.0", "call.0.arguments", "call.0.output.0.request.0", "release=1", "session", TURN,
    FIRST[0].trace_id.hex(), FIRST[0].span_id.hex(), "0" * 32, f"{'f' * 32}-{'f' * 16}",
]  # fmt: skip
words = st.sampled_from(KNOWN) | texts
queries = st.lists(
    st.tuples(st.sampled_from(NAMES), words | st.lists(words, max_size=3).map(".".join)), max_size=4
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "sessions.db"
    with closing(connect(path, create=True)) as connection:
        writer = Writer(connection)
        writer.add(FIRST)
        writer.add(turn(asked="And when?", number=2, start=START + 60 * SECOND, tool=False))
        writer.add(turn("chat-43", "ada", "Hello?", "", start=START + 90 * SECOND, error="429"))
        for number in range(3):
            writer.add(hostile_session(number))
        writer.add(hostile_session(9, session="all-attacks"))
    return path


@pytest.fixture(scope="module")
def page(path):
    with TestClient(
        create_app(path), base_url="http://localhost", follow_redirects=False
    ) as client:
        yield client


def asked(page, path, query, **headers):
    address = f"{quote(path, safe='/%', errors='replace')}?{urlencode(query, errors='replace')}"
    return page.get(address, headers=headers)


@settings(max_examples=200)
@given(st.sampled_from(PATHS) | texts.map(lambda text: f"/{text}"), queries)
def test_every_address_is_answered(page, path, query):
    answer = asked(page, path, query)
    assert answer.status_code in {200, 204, 303, 307, 400, 404, 405, 415}
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert "<script>" not in answer.text
    location = answer.headers.get("location", "/")
    assert re.match(r"/(?!/)|http://localhost/", location), location


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from(["thumbs", "label", "note", "who", "knew", "form_token", "x"]), words
    ),
    queries,
)
def test_every_form_is_answered(page, fields, query):
    fields = {name: it.encode("utf-8", "replace").decode() for name, it in fields.items()}
    token = page.app.state.form_token
    query = [("session", "chat-42"), *query]
    address = f"/evaluations?{urlencode(query, errors='replace')}"
    for given_token in (token, fields.get("form_token", "")):
        answer = page.post(address, data={**fields, "form_token": given_token})
        assert answer.status_code in {200, 303, 400, 403, 404, 413, 415}
        assert "<script>" not in answer.text
    page.cookies.clear()


HEADERS = [
    "host",
    "origin",
    "cookie",
    "authorization",
    "sec-fetch-site",
    "sec-fetch-mode",
    "last-event-id",
    "accept-encoding",
    "content-length",
    "content-type",
    "range",
]
header_values = texts.map(lambda text: text.encode("utf-8", "replace").decode("latin-1")) | (
    st.sampled_from(["localhost", "127.0.0.1:1", "[::1]:4319", "clew_token=x", "Bearer x", "null"])
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(HEADERS), header_values, max_size=4))
def test_every_header_is_answered(path, headers):
    """By the check of who asks, as a server calls it: no client sends such headers."""
    from clew.viewer.access import Access

    sent = []

    async def here(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"token=",
        "headers": raw,
    }
    for token in ("", "right"):
        asyncio.run(Access(here, token=token)(scope, None, send))
    statuses = [it["status"] for it in sent if "status" in it]
    assert statuses[0] in {200, 403}
    assert statuses[1] in {401, 403}  # None of them knows the token.


@pytest.mark.parametrize("index", ["9" * 5000, "0" * 9 + "9" * 5000, "\u00b2", "\u0663", "-1", ""])
def test_a_text_is_named_by_a_small_number(page, index):
    """Very long ones were an error of the server's."""
    for part in (f"call.{index}.result", f"call.0.input.{index}", f"input.request.{index}"):
        assert asked(page, "/content", [("turn", TURN), ("text", part)]).status_code == 404


def test_whoever_has_the_token_is_not_sent_to_another_host(path):
    app = create_app(path, token="right")
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
        answer = client.get("http://localhost//outside.invalid/?token=right&user=ada")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/outside.invalid/?user=ada"


def test_what_was_said_is_only_data_in_the_module_for_pytest(page):
    """The module is made of the conversation, and is run by whoever takes it."""
    answer = asked(page, "/session.py", [("id", "all-attacks")])
    assert answer.status_code == 200
    for node in ast.walk(ast.parse(answer.text)):
        if isinstance(node, ast.Name | ast.Attribute | ast.alias):
            assert "attacked" not in ast.unparse(node)
    assert any(attack in answer.text or repr(attack) in answer.text for attack in ATTACKS)
