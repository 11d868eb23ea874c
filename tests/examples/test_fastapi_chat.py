"""The chat on FastAPI: whatever its clients do, each span is in the session of its conversation."""

import json
import re
import shutil
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from clew.cli.demo.replay_server import CASSETTES, exchanges
from clew.core.frameworks import FRAMEWORKS
from tests.examples.chatting import TALKS, ask, asking, drive, serving
from tests.examples.driven import DRIVEN, replayed
from tests.examples.programs import Start
from tests.examples.readme import parts_of, readme_of, written
from tests.examples.running import ROOT, example, shown, surroundings
from tests.examples.test_examples import exchanged
from tests.landing.calls import installed
from tests.providers import ProviderServer

NAME = "fastapi_chat"
EXAMPLE = ROOT / "examples" / NAME
PAGE = (EXAMPLE / "page.html").read_text()
ADA = {"session": "chat-42", "user": "ada"}
FIRST, SECOND = TALKS["chat-42", "ada"]
RECORDED = "The Minos city bike takes 28 inch tyres, 37 to 47 mm wide."


@pytest.fixture(autouse=True, scope="module")
def _needed():
    for module in DRIVEN[NAME].needs:
        if not installed(module):
            pytest.skip(f"{module} is not installed here")


@pytest.fixture(scope="module")
def conversations(tmp_path_factory):
    return replayed(NAME, tmp_path_factory.mktemp(NAME))


@pytest.fixture
def around(tmp_path):
    with surroundings(tmp_path) as (given, collector):
        yield Start(EXAMPLE, tmp_path, given, ("--replay",)), collector


@pytest.fixture
def provider():
    with ProviderServer() as server:
        yield server


@contextmanager
def chat(around, provider):
    """Run the server on a provider that can be made to wait; afterwards all spans are there."""
    start, _ = around
    known = {**start.environment, "OPENAI_API_KEY": "a key", "OPENAI_BASE_URL": provider.openai_url}
    with serving(Start(start.example, start.folder, known)) as (address, _):
        yield address


def of(spans, session):
    return Counter(it.name for it in spans if it.session == session)


def test_two_conversations_turn_about(conversations):
    spans = conversations.spans
    turns = Counter({"POST /chat": 2, "ChatCompletion": 2})
    assert {(it.session, it.user) for it in spans} == set(TALKS)
    assert [of(spans, session) for session, _ in TALKS] == [turns, turns]
    assert sorted(Counter(it.trace for it in spans).values()) == [2, 2, 2, 2]
    assert [it.name for it in spans if it.error] == []
    calls = sorted((it for it in spans if it.kind == "LLM"), key=lambda it: it.start)
    assert [it.tokens for it in calls] == [it.total for it in exchanged(NAME)]
    assert [(it.session, it.user) for it in calls] == [*TALKS, *TALKS]
    assert len({it.tokens for it in calls}) > 1


def test_the_readme_shows_what_happens(conversations, request):
    if not all(installed(row.trigger) for row in FRAMEWORKS):
        pytest.skip("READMEs are held to the environment with all six frameworks")
    file = readme_of(NAME)
    now = written(file.read_text(), parts_of(NAME, conversations, without_the_line))
    if request.config.getoption("--write-examples", default=False):
        file.write_text(now)
    assert file.read_text() == now, "write it anew: nox -s examples"


def test_conversations_at_the_same_time_never_mix(around, provider):
    whose = [(f"chat-{number}", f"user-{number}") for number in range(8)]
    provider.hang(times=len(whose), after_events=3)

    def hold(session, user):
        with asking(address, f"first of {user}", session=session, user=user) as begun:
            word = begun.read(1)
            assert word, "the answer has begun, and waits"
            if provider.wait_for(len(whose)):
                provider.release()
            first = (word + begun.read()).decode()
        assert f"first of {user}" in first
        return ask(address, f"second of {user}", session=session, user=user)

    with chat(around, provider) as address, ThreadPoolExecutor(len(whose)) as pool:
        answers = list(pool.map(hold, *zip(*whose, strict=True)))
    for (_, user), (status, answer) in zip(whose, answers, strict=True):
        assert status == 200
        assert f"second of {user}" in answer

    _, collector = around
    spans = shown(collector)
    assert Counter((it.session, it.user) for it in spans) == Counter(dict.fromkeys(whose, 4))
    assert Counter(it.kind for it in spans)["LLM"] == 2 * len(whose)
    traces = {(it.trace, it.session) for it in spans}
    assert len(traces) == len({trace for trace, _ in traces}) == 2 * len(whose)
    for span in collector.spans():
        said = {it.key: it.value.string_value for it in span.attributes}
        if "input.value" in said:
            asked = json.loads(said["input.value"])["messages"]
            users = re.findall(r"of (user-\d+)", " ".join(it["content"] for it in asked))
            assert set(users) == {said["user.id"]}


def test_a_client_that_hangs_up(around, provider):
    provider.hang(after_events=3)
    with chat(around, provider) as address:
        with asking(address, "one that nobody waits for", session="gone", user="bob") as begun:
            assert begun.read(1)
        assert ask(address, "the next one", **ADA)[0] == 200
    spans = shown(around[1])
    turn = Counter({"POST /chat": 1, "ChatCompletion": 1})
    assert of(spans, "gone") == of(spans, "chat-42") == turn
    assert {(it.session, it.user) for it in spans} == {("gone", "bob"), ("chat-42", "ada")}
    assert "one that nobody" not in str(provider.exchanges[1].body)


def test_a_conversation_is_its_users_and_bounded(around, provider):
    with chat(around, provider) as address:
        for number in range(22):
            assert ask(address, f"question {number}", **ADA)[0] == 200
        assert ask(address, "what did ada ask?", session="chat-42", user="eve")[0] == 200
        assert ask(address, "and me?", session="chat-43", user="ada")[0] == 200
    *_, last, eves, other = [it.body["messages"] for it in provider.exchanges]
    assert len(last) == 1 + 40 + 1
    assert [it["role"] for it in last[:3]] == ["system", "user", "assistant"]
    assert [len(eves), len(other)] == [2, 2]


UNUSABLE = ["", " ", "x" * 257, "x" * 9999, "chat-1, chat-2", "chat\t1", b"chat-\xff", "\x7f"]


def test_ids_that_cannot_be_used(around):
    start, collector = around
    with serving(start) as (address, server):
        for session in UNUSABLE:
            with asking(address, FIRST, session=session, user="ada") as response:
                made = response.headers.get("x-session-id", "")
                assert (response.status, response.read().decode()) == (200, RECORDED)
            assert re.fullmatch(r"[0-9a-f]{32}", made), f"{session!r} was replaced"
        for user in (None, *(it for it in UNUSABLE if "," not in str(it))):
            status, answer = ask(address, FIRST, session="chat-7", user=user)
            assert status == 401, f"{user!r} was believed"
            assert "Say who you are" in json.loads(answer)["detail"]
        # The application never sees it where the server itself refuses what is so long.
        assert ask(address, FIRST, user="x" * 100_000)[0] in {400, 401, 431}
        assert ask(address, "x" * 2001, **ADA)[0] == 422
        assert ask(address, FIRST, **ADA) == (200, RECORDED)
    assert "Traceback" not in server.wrote
    calls = [it for it in shown(collector) if it.kind == "LLM"]
    assert len({it.session for it in calls}) == len(calls) == len(UNUSABLE) + 1
    assert {it.user for it in calls} == {"ada"}


def test_a_question_that_was_not_recorded(around):
    start, collector = around
    with serving(start) as (address, server):
        status, answer = ask(address, "What is <b>this</b>?", **ADA)
        assert (status, answer.count("nox -s record")) == (502, 1)
        assert "this was not recorded" in json.loads(answer)["detail"]["message"]
        for session in ("chat-42", "chat-44"):  # It does not count; the same may be asked again.
            assert ask(address, FIRST, session=session, user="ada") == (200, RECORDED)
            assert ask(address, SECOND, session=session, user="ada")[0] == 200
    assert "Traceback" not in server.wrote
    failed = [it for it in shown(collector) if it.error]
    assert {it.name for it in failed} == {"POST /chat", "ChatCompletion"}
    assert {(it.session, it.user) for it in shown(collector)} == {
        ("chat-42", "ada"),
        ("chat-44", "ada"),
    }


def test_without_a_key(tmp_path):
    done = example(NAME, folder=tmp_path)
    assert (done.status, done.output) == (1, "")
    assert done.errors.splitlines()[-1] == (
        "Set OPENAI_API_KEY to your key, or run with --replay, which needs none."
    )


def test_the_page_is_served_and_fetches_nothing(around):
    with serving(around[0]) as (address, _):
        connection = HTTPConnection(address)
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers.get_content_type() == "text/html"
        assert response.read().decode() == PAGE
        connection.close()
    assert shown(around[1]) == [], "the page is no part of a conversation"
    assert "default-src 'none'" in PAGE
    assert re.findall(r'(?:src|href|action|srcset)\s*=\s*"([^"]*)"', PAGE) == ["data:,"]
    assert re.findall(r"https?:|url\(|@import|import\(", PAGE) == []
    assert re.findall(r"(?i)innerHTML|outerHTML|insertAdjacent|document\.write|\beval", PAGE) == []


def test_the_page_suggests_what_is_recorded():
    listed = re.search(r"const SUGGESTED = (\[.*?\n\]);", PAGE, re.DOTALL)[1]
    first, second = json.loads(re.sub(r",(?=\s*\])", "", listed))
    assert [*first, *second] == list(dict.fromkeys(sum(zip(*TALKS.values(), strict=True), ())))
    asked = [json.loads(it.body)["messages"] for it, _ in exchanges(CASSETTES / f"{NAME}.json")]
    said = [[it["content"] for it in messages if it["role"] == "user"] for messages in asked]
    assert sorted(said) == sorted([[it] for it in first] + [[it, *second] for it in first])


def without_the_line(app):
    for line, instead in (
        ("import current, instrument_all\n", "import current\n"),
        ("instrument_all()\n\n", ""),
    ):
        assert app.count(line) == 1, f"{line!r} is not in the app, or not once"
        app = app.replace(line, instead)
    return app


@pytest.mark.slow
def test_without_the_line(around, conversations):
    if not any(it.name == "clew" for it in entry_points(group="opentelemetry_distro")):
        pytest.skip("clew offers no distro here")
    start, collector = around
    app = shutil.copytree(EXAMPLE, start.folder / NAME) / "app.py"
    app.write_text(without_the_line(app.read_text()))
    command = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    said = drive(
        Start(app.parent, start.folder, start.environment, start.options, before=(command,))
    )
    assert said == conversations.output
    spans = shown(collector)
    assert {(it.session, it.user) for it in spans} == set(TALKS)
    calls = sorted((it for it in spans if it.kind == "LLM"), key=lambda it: it.start)
    assert [it.tokens for it in calls] == [it.total for it in exchanged(NAME)]
