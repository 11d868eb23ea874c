"""The FastAPI chat: each span is in the session of its conversation, whatever clients do."""

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
from tests.integration.examples.chat_client import (
    CONVERSATIONS,
    ask,
    asking,
    hold_conversations,
    serving,
)
from tests.integration.examples.programs import Start
from tests.integration.examples.readme_parts import parts_of, readme_of, with_parts
from tests.integration.examples.run_example import (
    ROOT,
    example,
    isolated_environment,
    received_spans,
)
from tests.integration.examples.server_examples import SERVER_EXAMPLES, replayed
from tests.integration.examples.test_examples import recorded_usages
from tests.landing.calls import installed
from tests.support.providers import ProviderServer

NAME = "fastapi_chat"
EXAMPLE = ROOT / "examples" / NAME
PAGE = (EXAMPLE / "page.html").read_text()
ADA = {"session": "chat-42", "user": "ada"}
FIRST, SECOND = CONVERSATIONS["chat-42", "ada"]
RECORDED = "The Minos city bike takes 28 inch tyres, 37 to 47 mm wide."


@pytest.fixture(autouse=True, scope="module")
def _needed():
    for module in SERVER_EXAMPLES[NAME].needs:
        if not installed(module):
            pytest.skip(f"{module} is not installed here")


@pytest.fixture(scope="module")
def conversations(tmp_path_factory):
    return replayed(NAME, tmp_path_factory.mktemp(NAME))


@pytest.fixture
def example_start(tmp_path):
    with isolated_environment(tmp_path) as (environment, collector):
        yield Start(EXAMPLE, tmp_path, environment, ("--replay",)), collector


@pytest.fixture
def provider():
    with ProviderServer() as server:
        yield server


@contextmanager
def chat(example_start, provider):
    """Run the server with a provider that can be made to wait; on exit all spans are delivered."""
    start, _ = example_start
    environment = {
        **start.environment,
        "OPENAI_API_KEY": "a key",
        "OPENAI_BASE_URL": provider.openai_url,
    }
    with serving(Start(start.example, start.folder, environment)) as (address, _):
        yield address


def count_names(spans, session):
    return Counter(it.name for it in spans if it.session == session)


def test_two_alternating_conversations(conversations):
    spans = conversations.spans
    turns = Counter({"POST /chat": 2, "ChatCompletion": 2})
    assert {(it.session, it.user) for it in spans} == set(CONVERSATIONS)
    assert [count_names(spans, session) for session, _ in CONVERSATIONS] == [turns, turns]
    assert sorted(Counter(it.trace for it in spans).values()) == [2, 2, 2, 2]
    assert [it.name for it in spans if it.error] == []
    calls = sorted((it for it in spans if it.kind == "LLM"), key=lambda it: it.start)
    assert [it.tokens for it in calls] == [it.total for it in recorded_usages(NAME)]
    assert [(it.session, it.user) for it in calls] == [*CONVERSATIONS, *CONVERSATIONS]
    assert len({it.tokens for it in calls}) > 1


def test_the_readme_shows_what_happens(conversations, request):
    if not all(installed(row.trigger) for row in FRAMEWORKS):
        pytest.skip("READMEs are checked only where all six frameworks are installed")
    file = readme_of(NAME)
    now = with_parts(file.read_text(), parts_of(NAME, conversations, without_the_line))
    if request.config.getoption("--write-examples", default=False):
        file.write_text(now)
    assert file.read_text() == now, "update it: nox -s examples"


def test_conversations_at_the_same_time_never_mix(example_start, provider):
    ids = [(f"chat-{number}", f"user-{number}") for number in range(8)]
    provider.hang(times=len(ids), after_events=3)

    def hold(session, user):
        with asking(address, f"first of {user}", session=session, user=user) as begun:
            word = begun.read(1)
            assert word, "the answer has begun, and waits"
            if provider.wait_for(len(ids)):
                provider.release()
            first = (word + begun.read()).decode()
        assert f"first of {user}" in first
        return ask(address, f"second of {user}", session=session, user=user)

    with chat(example_start, provider) as address, ThreadPoolExecutor(len(ids)) as pool:
        answers = list(pool.map(hold, *zip(*ids, strict=True)))
    for (_, user), (status, answer) in zip(ids, answers, strict=True):
        assert status == 200
        assert f"second of {user}" in answer

    _, collector = example_start
    spans = received_spans(collector)
    assert Counter((it.session, it.user) for it in spans) == Counter(dict.fromkeys(ids, 4))
    assert Counter(it.kind for it in spans)["LLM"] == 2 * len(ids)
    traces = {(it.trace, it.session) for it in spans}
    assert len(traces) == len({trace for trace, _ in traces}) == 2 * len(ids)
    for span in collector.spans():
        attributes = {it.key: it.value.string_value for it in span.attributes}
        if "input.value" in attributes:
            messages = json.loads(attributes["input.value"])["messages"]
            users = re.findall(r"of (user-\d+)", " ".join(it["content"] for it in messages))
            assert set(users) == {attributes["user.id"]}


def test_a_client_that_hangs_up(example_start, provider):
    provider.hang(after_events=3)
    with chat(example_start, provider) as address:
        with asking(address, "one that nobody waits for", session="gone", user="bob") as begun:
            assert begun.read(1)
        assert ask(address, "the next one", **ADA)[0] == 200
    spans = received_spans(example_start[1])
    turn = Counter({"POST /chat": 1, "ChatCompletion": 1})
    assert count_names(spans, "gone") == count_names(spans, "chat-42") == turn
    assert {(it.session, it.user) for it in spans} == {("gone", "bob"), ("chat-42", "ada")}
    assert "one that nobody" not in str(provider.exchanges[1].body)


def test_a_conversation_is_its_users_and_bounded(example_start, provider):
    with chat(example_start, provider) as address:
        for number in range(22):
            assert ask(address, f"question {number}", **ADA)[0] == 200
        assert ask(address, "what did ada ask?", session="chat-42", user="eve")[0] == 200
        assert ask(address, "and me?", session="chat-43", user="ada")[0] == 200
    *_, last, eves, other = [it.body["messages"] for it in provider.exchanges]
    assert len(last) == 1 + 40 + 1
    assert [it["role"] for it in last[:3]] == ["system", "user", "assistant"]
    assert [len(eves), len(other)] == [2, 2]


UNUSABLE = ["", " ", "x" * 257, "x" * 9999, "chat-1, chat-2", "chat\t1", b"chat-\xff", "\x7f"]


def test_ids_that_cannot_be_used(example_start):
    start, collector = example_start
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
        # The server itself may refuse so long a header.
        assert ask(address, FIRST, user="x" * 100_000)[0] in {400, 401, 431}
        assert ask(address, "x" * 2001, **ADA)[0] == 422
        assert ask(address, FIRST, **ADA) == (200, RECORDED)
    assert "Traceback" not in server.wrote
    calls = [it for it in received_spans(collector) if it.kind == "LLM"]
    assert len({it.session for it in calls}) == len(calls) == len(UNUSABLE) + 1
    assert {it.user for it in calls} == {"ada"}


def test_a_question_that_was_not_recorded(example_start):
    start, collector = example_start
    with serving(start) as (address, server):
        status, answer = ask(address, "What is <b>this</b>?", **ADA)
        assert (status, answer.count("nox -s record")) == (502, 1)
        assert "this was not recorded" in json.loads(answer)["detail"]["message"]
        # The failed question is not in the history, so these can be asked.
        for session in ("chat-42", "chat-44"):
            assert ask(address, FIRST, session=session, user="ada") == (200, RECORDED)
            assert ask(address, SECOND, session=session, user="ada")[0] == 200
    assert "Traceback" not in server.wrote
    failed = [it for it in received_spans(collector) if it.error]
    assert {it.name for it in failed} == {"POST /chat", "ChatCompletion"}
    assert {(it.session, it.user) for it in received_spans(collector)} == {
        ("chat-42", "ada"),
        ("chat-44", "ada"),
    }


def test_without_a_key(tmp_path):
    done = example(NAME, folder=tmp_path)
    assert (done.status, done.output) == (1, "")
    assert done.errors.splitlines()[-1] == (
        "Set OPENAI_API_KEY to your key, or run with --replay, which needs none."
    )


def test_the_page_is_served_and_fetches_nothing(example_start):
    with serving(example_start[0]) as (address, _):
        connection = HTTPConnection(address)
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers.get_content_type() == "text/html"
        assert response.read().decode() == PAGE
        connection.close()
    assert received_spans(example_start[1]) == [], "the page is no part of a conversation"
    assert "default-src 'none'" in PAGE
    assert re.findall(r'(?:src|href|action|srcset)\s*=\s*"([^"]*)"', PAGE) == ["data:,"]
    assert re.findall(r"https?:|url\(|@import|import\(", PAGE) == []
    assert re.findall(r"(?i)innerHTML|outerHTML|insertAdjacent|document\.write|\beval", PAGE) == []


def test_the_page_suggests_what_is_recorded():
    listed = re.search(r"const SUGGESTED = (\[.*?\n\]);", PAGE, re.DOTALL)[1]
    first, second = json.loads(re.sub(r",(?=\s*\])", "", listed))
    assert [*first, *second] == list(
        dict.fromkeys(sum(zip(*CONVERSATIONS.values(), strict=True), ()))
    )
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
def test_without_the_line(example_start, conversations):
    if not any(it.name == "clew" for it in entry_points(group="opentelemetry_distro")):
        pytest.skip("clew offers no distro here")
    start, collector = example_start
    app = shutil.copytree(EXAMPLE, start.folder / NAME) / "app.py"
    app.write_text(without_the_line(app.read_text()))
    command = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    output = hold_conversations(
        Start(app.parent, start.folder, start.environment, start.options, before=(command,))
    )
    assert output == conversations.output
    spans = received_spans(collector)
    assert {(it.session, it.user) for it in spans} == set(CONVERSATIONS)
    calls = sorted((it for it in spans if it.kind == "LLM"), key=lambda it: it.start)
    assert [it.tokens for it in calls] == [it.total for it in recorded_usages(NAME)]
