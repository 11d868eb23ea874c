"""What the pages show, and what they refuse, without a browser."""

import re
import time
from dataclasses import replace
from html import unescape

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from clew.sessions.store import SessionStore
from clew.store.otlp import to_protobuf
from tests.support.conversation_spans import SECOND, START, turn

PAGES = (
    "/",
    "/users",
    "/overview",
    "/metrics",
    "/differences",
    "/live",
    "/session?id=chat-42",
    "/session?id=chat-43",
    "/history?session=chat-42",
    "/compare?a=chat-42&b=chat-43",
    "/compare?a=chat-42",
)


def links(html, start):
    return [unescape(it) for it in re.findall(r'href="([^"]*)"', html) if it.startswith(start)]


def opened(html):
    """Return the addresses of the sessions of a list."""
    return [it for it in links(html, "/session?") if "&" not in it]


def test_the_list_shows_conversations_the_newest_first(ask, filled):
    html = ask.get("/").text
    assert opened(html) == [
        "/session?id=other",
        "/session?id=chat-43",
        "/session?id=chat-42",
    ]
    assert "Where is my order A-17?" in html
    assert "1 failed" in html


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("user=bob", ["other"]),
        ("errors=yes", ["chat-43"]),
        ("errors=no&order=turns", ["chat-42", "other"]),
        ("text=order+a-17", ["chat-42"]),
        ("model=none", []),
        ("tool=get_order&order=cost", ["chat-42", "chat-43", "other"]),
    ],
)
def test_filters_and_orders_are_in_the_address(ask, filled, query, found):
    html = ask.get(f"/?{query}").text
    assert [it.split("=")[1] for it in opened(html)] == found
    assert ("No session matches" in html) is (not found)


def test_a_wrong_filter_is_named(ask, filled):
    answer = ask.get("/?order=name")
    assert answer.status_code == 400
    assert "order=&#39;name&#39; is not known" in answer.text


def test_pages_of_the_list_follow_one_another(ask, write):
    for number in range(95):
        write(turn(f"s{number:03}", number=number, start=START + number * SECOND, tool=False))
    seen, address = [], "/"
    while address:
        html = ask.get(address).text
        seen += [it.split("=")[1] for it in opened(html)]
        following = re.search(r'<a href="([^"]*)" rel="next">', html)
        address = unescape(following[1]) if following else ""
    assert seen == [f"s{number:03}" for number in reversed(range(95))]


def test_a_session_is_read_as_a_conversation(ask, filled):
    html = ask.get("/session?id=chat-42").text
    said = ("my order A-17?", "It was sent yesterday.", "<strong>when</strong>", "<em>noon</em>")
    places = [html.rindex(text) for text in said]
    assert places == sorted(places)
    assert "You help the customers of a bicycle shop." in html
    assert "Parcels take two days." in html
    assert "get_order" in html
    assert "$0.002" in html


def test_the_first_failed_turn_is_one_click_away(ask, write):
    for number in range(1, 61):
        error = "429 Too Many" if number in {41, 50} else ""
        answered = "" if error else "Yes."
        start = START + number * 60 * SECOND
        write(turn("long", answered=answered, number=number, start=start, error=error, tool=False))
    html = ask.get("/session?id=long").text
    (failed,) = re.findall(r'href="([^"]*)" id="first-failed"', html)
    address, _, anchor = unescape(failed).partition("#")
    assert anchor == "turn-41"
    page = ask.get(address).text
    assert 'id="turn-41"' in page
    assert "429 Too Many" in page


def test_the_list_leads_to_the_first_failed_turn(ask, write):
    for number in (1, 2, 3, 4):
        start = START + number * 60 * SECOND
        write(turn("s", number=number, start=start, error="429" if number in {2, 4} else ""))
    (address,) = links(ask.get("/").text, "/session?id=s&amp;failed")
    answer = ask.get(address, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/session?id=s&turn=2#turn-2")


def test_long_sessions_come_in_pages(ask, write):
    for number in range(1, 61):
        write(turn("long", number=number, start=START + number * 60 * SECOND, tool=False))
    seen, address = [], "/session?id=long"
    while address:
        html = ask.get(address).text
        seen += map(int, re.findall(r'id="turn-(\d+)"', html))
        following = re.search(r'<a href="([^"]*)" rel="next">', html)
        address = unescape(following[1]) if following else ""
    assert seen == list(range(1, 61))


def test_everything_about_a_turn_can_be_reached(ask, filled):
    html = ask.get("/session?id=chat-42").text
    (trace, *_) = links(html, "/trace?")
    tree = ask.get(trace).text
    assert "get_order" in tree
    span = ask.get(links(tree, "/span?")[-1]).text
    assert "llm.input_messages.0.message.content" in span
    call = ask.get(links(html, "/call?")[-1]).text
    assert "the system prompt" in call
    assert "You help the customers" in call
    exported = ask.get(links(tree, "/trace.json?")[0]).json()
    assert len(exported["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 4


def test_a_huge_text_is_cut_and_can_be_had(ask, write):
    huge = "A line <b>of</b> text.\n" * 400_000
    write(turn(asked=huge, tool=False))
    html = ask.get("/session?id=chat-42").text
    assert len(html) < 100_000
    (address, *_) = links(html, "/content?")
    whole = ask.get(address)
    assert len(whole.text) < 1_500_000
    (raw,) = links(whole.text, "/content.txt?")
    answer = ask.get(raw)
    assert answer.text == huge
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("page", PAGES)
def test_a_part_is_the_inside_of_its_page(ask, filled, page):
    part = ask.get(f"{page}{'&' if '?' in page else '?'}part=1").text
    assert "<html" not in part
    assert part.strip() in ask.get(page).text


@pytest.mark.parametrize(
    "address",
    [
        "/nothing",
        "/session?id=unknown",
        "/session",
        "/trace?trace=xyz",
        f"/trace?trace={'0' * 32}",
        "/call?turn=1-2&call=0",
        "/content?turn=&text=input",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/nothing.css",
    ],
)
def test_what_is_not_there_is_not_found(ask, filled, address):
    assert ask.get(address).status_code == 404


def test_users_are_ordered_by_the_cost_of_all_their_sessions(ask, write):
    """One costs most, though another has the session that does; of a third nothing is known."""
    costs = (("dear", "bob", 0.5), ("a1", "ada", 0.4), ("a2", "ada", 0.3), ("none", "cy", None))
    for number, (session, user, cost) in enumerate(costs):
        write(turn(session, user, number=number, cost=cost, tool=False))
    found = re.findall(r'href="/\?user=(\w+)" data-row', ask.get("/users?order=cost").text)
    assert found == ["ada", "bob", "cy"]


@pytest.mark.parametrize("page", ["/", "/users", "/overview", "/session?id=x"])
def test_without_a_store_a_page_says_what_to_do(ask, path, page):
    answer = ask.get(page)
    assert answer.status_code == 200
    assert "instrument_all()" in answer.text
    assert not path.exists()


def test_a_store_that_is_none_is_named(ask, path):
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    answer = ask.get("/")
    assert answer.status_code == 503
    assert "damaged" in answer.text


def test_a_store_that_is_replaced_is_opened_anew(ask, filled, path, write):
    assert "chat-42" in ask.get("/").text
    for file in path.parent.iterdir():
        file.unlink()
    write(turn("fresh"))
    html = ask.get("/").text
    assert "fresh" in html
    assert "chat-42" not in html


def test_spans_come_in_at_the_page_too(ask):
    protobuf = {"content-type": "application/x-protobuf"}
    answer = ask.post("/v1/traces", content=to_protobuf(turn("sent")), headers=protobuf)
    assert answer.status_code == 200
    assert "sent" in ask.get("/").text


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", "", "[::"])
def test_other_names_of_this_server_are_refused(ask, filled, host):
    answer = ask.get("/", headers={"host": host})
    assert answer.status_code == 403
    assert "chat-42" not in answer.text


@pytest.mark.parametrize("host", ["localhost:4319", "127.0.0.1", "[::1]:80", "LOCALHOST."])
def test_this_machine_may_read(ask, filled, host):
    assert ask.get("/", headers={"host": host}).status_code == 200


def test_other_sites_may_not_read(ask, filled):
    asked = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    assert ask.get("/", headers=asked).status_code == 403


def test_spans_from_pages_of_other_sites_are_refused(ask, path):
    headers = {"content-type": "application/json", "origin": "http://evil.example"}
    assert ask.post("/v1/traces", content=b"{}", headers=headers).status_code == 403
    assert not path.exists()


@pytest.mark.parametrize("page", [*PAGES, "/nothing", "/trace?trace=x", "/content.txt"])
def test_every_answer_protects_the_browser(ask, filled, page):
    headers = ask.get(page).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_has_scripts_or_styles_inside(ask, filled, page):
    html = ask.get(page).text
    assert re.findall(r"<script(?![^>]*src=)", html) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", html) == []
    assert [it for it in re.findall(r'(?:src|href)="([^"]*)"', html) if "//" in it] == []


def test_a_token_is_needed_where_one_is_set(path, filled):
    from starlette.testclient import TestClient

    from clew.viewer.app import create_app

    app = create_app(path, hosts=["server.example"], token="a secret")
    with TestClient(app, base_url="http://10.1.2.3") as client:
        assert client.get("/").status_code == 401
        assert client.get("/?token=wrong").status_code == 401
        assert "chat-42" in client.get("/?token=a+secret").text
        assert "chat-42" in client.get("/").text  # From now on by the cookie.
        client.cookies.clear()
        bearer = {"authorization": "Bearer a secret"}
        assert client.get("/", headers=bearer).status_code == 200
        lower_case = {"authorization": "bearer a secret"}
        assert client.get("/", headers=lower_case).status_code == 200
        # Under whichever name this server is reached: a site that takes over a name has no token.
        assert client.get("/", headers={"host": "box.example", **bearer}).status_code == 200
        assert client.get("/", headers={"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize("other", ['prefs={"x":1}', "a[b]=1", "flag", "u=Jos\xe9", "g=a,b c"])
def test_cookies_of_other_applications_lock_nobody_out(path, filled, other):
    from starlette.testclient import TestClient

    from clew.viewer.app import create_app

    app = create_app(path, hosts=["server.example"], token="sekret")
    with TestClient(app, base_url="http://10.1.2.3") as client:
        for cookies in (f"{other}; clew_token=sekret", f"clew_token=sekret; {other}"):
            answer = client.get("/", headers={"cookie": cookies.encode("latin-1")})
            assert answer.status_code == 200, cookies
        cookies = f"{other}; clew_token=wrong".encode("latin-1")
        assert client.get("/", headers={"cookie": cookies}).status_code == 401


@pytest.mark.parametrize("address", ["/session?id=s", "/overview", "/live", "/compare?a=s&b=t"])
def test_an_error_without_a_message_is_said_to_have_none(ask, write, address):
    for session in ("s", "t"):
        write(turn(session, answered="", error="failed", start=time.time_ns() - 90 * SECOND))
    html = ask.get(address).text
    assert "An error without a message" in html
    assert not re.search(r">\s*failed\s*</(q|pre|p|a)>", html)


def test_two_servers_of_one_machine_do_not_log_each_other_out(path, filled):
    from starlette.testclient import TestClient

    from clew.viewer.app import create_app

    jar = None  # Like a browser's: a cookie goes to every port of its host.
    servers = [("http://10.1.2.3:4318", "one"), ("http://10.1.2.3:4319", "other")]
    for query in ("?token={}", ""):
        for address, token in servers:
            app = create_app(path, hosts=["10.1.2.3"], token=token)
            with TestClient(app, base_url=address, cookies=jar) as client:
                assert client.get(f"/{query.format(token)}").status_code == 200, address
                jar = client.cookies


def bring_up_to_date(path):
    with SessionStore(path) as store:
        store.list()


def test_few_turns_of_very_many_spans_are_all_reached(ask, path, write):
    for number in range(1, 8):
        spans = turn(number=number, start=START + number * 60 * SECOND)
        (tool,) = [it for it in spans if it.name == "get_order"]
        again = (index.to_bytes(4, "big") + tool.span_id[4:] for index in range(1, 180))
        write([*spans, *(replace(tool, span_id=it) for it in again)])
    bring_up_to_date(path)
    shown, address = [], "/session?id=chat-42"
    while address and len(shown) < 8:
        html = ask.get(address).text
        shown.append([int(it) for it in re.findall(r'id="turn-(\d+)"', html)])
        address = next(map(unescape, re.findall(r'href="([^"]*)" rel="next"', html)), None)
    assert len(shown) > 2
    assert [number for page in shown for number in page] == [1, 2, 3, 4, 5, 6, 7]
    # A link to a turn on the first page shows that page.
    assert 'id="turn-1"' in ask.get(f"/session?id=chat-42&turn={shown[0][-1]}").text


def test_scripts_are_small():
    from importlib.resources import files

    scripts = [it for it in (files("clew.viewer") / "static").iterdir() if it.name.endswith(".js")]
    assert sum(len(it.read_bytes()) for it in scripts) < 30_000


def test_a_session_in_which_nothing_was_said_can_be_opened(ask, write):
    silent = turn("silent", asked="", answered="", tool=True)
    write([span for span in silent if span.name == "get_order"])
    assert "Nothing was said" in ask.get("/").text
    html = ask.get("/session?id=silent").text
    assert "get_order" in html
    assert "No answer was recorded" not in html


def test_a_trace_of_very_many_spans_comes_in_pages(ask, write):
    (root, *_) = [span for span in turn(tool=False) if span.parent_id is None]
    inner = [
        replace(
            root,
            span_id=number.to_bytes(8, "big"),
            parent_id=root.span_id,
            name=f"step {number}",
            status=2 if number == 2500 else 1,
        )
        for number in range(1, 3000)
    ]
    write([root, *inner])
    address, seen = f"/trace?trace={root.trace_id.hex()}", []
    while address:
        html = ask.get(address).text
        seen += re.findall(r'<span class="n">([^<]*)</span>', html)
        following = re.search(r'<a href="([^"]*)">[\d,]+ more spans', html)
        address = unescape(following[1]) if following else ""
    assert seen == [root.name, *(span.name for span in inner)]
    span = ask.get(f"/span?trace={root.trace_id.hex()}&span={inner[7].span_id.hex()}").text
    assert "step 8" in span
    assert "input.value" in span
