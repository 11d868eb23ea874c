"""Judges with OpenAI's SDK: the form of the answer, what it cost, and that nothing is traced."""

import asyncio
import json
from contextlib import asynccontextmanager, closing

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clew import instrument_all, uninstrument_all, using_session
from clew.evaluations import (
    EvaluationError,
    JudgeError,
    current,
    evaluate,
    evaluator,
    history,
    judge,
)
from clew.export.store_exporter import StoreExporter
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import turn
from tests.support.providers.answers import texts_from
from tests.support.providers.fixtures import server

__all__ = ["server"]

openai = pytest.importorskip("openai")

MODEL = "gpt-4o-mini"
PLAIN = '{"explanation": "Some of it.", "label": "partly"}'


def plain(question, wanted):
    return PLAIN


def wrong(question, wanted):
    return "no"


@pytest.fixture
def session(tmp_path):
    path = tmp_path / "kept" / "sessions.db"
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add([*turn(), *turn(number=2)])
    with SessionStore(path) as store:
        yield store.get("chat-42")


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.openai_url, api_key="key", max_retries=0) as client:
        yield client


@asynccontextmanager
async def asynchronous(server):
    async with openai.AsyncOpenAI(
        base_url=server.openai_url, api_key="key", max_retries=0
    ) as client:
        yield client


def formats(server):
    """Say of each request whether it asked for a form of the answer."""
    return ["response_format" in it.body for it in server.exchanges]


def test_the_answer_is_asked_for_in_its_form(server, client, session):
    made = judge("outcome", client=client, model=MODEL, options={"temperature": 0})
    found = asyncio.run(made(session))
    (exchange,) = server.exchanges
    wanted = exchange.body["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["strict"] is True
    labels = wanted["json_schema"]["schema"]["properties"]["label"]["enum"]
    assert labels == ["no", "partly", "yes", "unknown"]
    assert exchange.body["temperature"] == 0
    assert (found.score, found.label) == (0.0, "no")
    assert found.metadata["model"] == MODEL
    assert found.metadata["prompt_tokens"] == exchange.usage.prompt
    assert found.metadata["completion_tokens"] == exchange.usage.completion


def test_an_asynchronous_client_says_the_same(server, client, session):
    async def main():
        async with asynchronous(server) as other:
            return await judge("outcome", client=other, model=MODEL)(session)

    assert asyncio.run(main()) == asyncio.run(judge("outcome", client=client, model=MODEL)(session))


def test_an_asynchronous_client_works_in_each_run(server, tmp_path):
    path = tmp_path / "sessions.db"
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(turn())
    client = openai.AsyncOpenAI(base_url=server.openai_url, api_key="key", max_retries=0)
    asked = judge("outcome", client=client, model=MODEL)
    with SessionStore(path) as store, texts_from(plain):
        runs = [evaluate(store, asked, again=True, retries=0) for _ in range(3)]
    assert [(run.made, run.failed) for run in runs] == [(1, 0)] * 3, runs[-1].failures


def test_what_it_cost_is_in_the_metadata(server, client, session):
    genai_prices = pytest.importorskip("genai_prices")
    made = judge("outcome", client=client, model=MODEL, provider="openai")
    found = asyncio.run(made(session))
    (exchange,) = server.exchanges
    usage = genai_prices.Usage(
        input_tokens=exchange.usage.prompt, output_tokens=exchange.usage.completion
    )
    price = genai_prices.calc_price(usage, model_ref=MODEL, provider_id="openai").total_price
    assert found.metadata["cost"] == float(price) > 0
    # Whose price applies is not known of a server on loopback, unless it is said.
    unknown = asyncio.run(judge("outcome", client=client, model=MODEL)(session))
    assert "cost" not in unknown.metadata


def test_the_provider_is_known_by_the_clients_url(server, session):
    for url, provider in (
        ("https://api.openai.com/v1", "openai"),
        ("https://shop.openai.azure.com/openai", "azure"),
        ("https://api.openai.com.example.org/v1", ""),
        ("http://127.0.0.1:1/v1", ""),
    ):
        with openai.OpenAI(base_url=url, api_key="key") as client:
            made = judge("outcome", client=client, model=MODEL)
            assert made.function.asker.provider == provider


@pytest.mark.parametrize("kind", ["synchronous", "asynchronous"])
def test_a_server_that_refuses_the_form_is_asked_without_it_from_then_on(
    server, client, session, kind
):
    server.fail(400)

    async def main():
        async with asynchronous(server) as other:
            asked = client if kind == "synchronous" else other
            made = judge("outcome", client=asked, model=MODEL)
            return [(await made(session)).label for _ in range(3)]

    with texts_from(plain):
        assert asyncio.run(main()) == ["partly"] * 3
    assert formats(server) == [True, False, False, False]


def test_a_request_that_is_refused_in_any_form_is_an_error(server, client, session):
    made = judge("outcome", client=client, model=MODEL)
    server.fail(400, times=2)
    with pytest.raises(openai.BadRequestError):
        asyncio.run(made(session))
    assert asyncio.run(made(session)).label == "no"
    assert formats(server) == [True, False, True]


@pytest.mark.parametrize("status", [401, 429, 500])
def test_other_errors_are_raised_at_once(server, client, session, status):
    server.fail(status)
    with pytest.raises(openai.APIStatusError):
        asyncio.run(judge("outcome", client=client, model=MODEL)(session))
    assert formats(server) == [True]


def test_an_answer_that_was_cut_is_an_error_that_says_what_it_cost(server, client, session):
    made = judge(
        "outcome", client=client, model=MODEL, provider="openai", options={"max_tokens": 3}
    )
    with pytest.raises(JudgeError, match="cut at the greatest number of tokens") as raised:
        asyncio.run(made(session))
    pytest.importorskip("genai_prices")
    assert raised.value.cost > 0


def test_a_client_needs_a_model(client):
    with pytest.raises(EvaluationError, match="model=None: say which model"):
        judge("outcome", client=client)


# --- what a judge does is in no session, least of all in the one that it judges ---


@pytest.fixture
def spans():
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    instrument_all(tracer_provider=provider)
    yield memory.get_finished_spans
    uninstrument_all()


def asked(client):
    told = [{"role": "user", "content": "Was it solved?"}]
    return client.chat.completions.create(model=MODEL, messages=told)


def test_a_judge_leaves_no_span(server, client, session, spans):
    async def main():
        async with asynchronous(server) as other:
            for it in (client, other):
                await judge("outcome", client=it, model=MODEL)(session)
                await judge("role", client=lambda told, it=it: answer_of(it, told))(session)

    async def read(answer):
        return (await answer).choices[0].message.content

    def answer_of(it, told):
        """A function that asks with the same SDK, as a user may write one."""
        form = {"type": "json_object"}
        made = it.chat.completions.create(model=MODEL, messages=told, response_format=form)
        return read(made) if it is not client else made.choices[0].message.content

    with using_session(session.id, user_id="ada"):
        asked(client)
        (before,) = spans()
        with texts_from(wrong), pytest.raises(JudgeError):
            asyncio.run(main())
        asked(client)
    assert before.attributes["session.id"] == session.id
    (_, after) = spans()
    assert after.attributes["session.id"] == session.id
    assert len(server.exchanges) > 3


def test_an_evaluator_of_ones_own_leaves_none_either(server, client, session, spans):
    @evaluator(kind="LLM")
    def solved(session):
        return len(asked(client).choices[0].message.content) > 0

    with using_session(session.id):
        assert asyncio.run(solved(session)).score == 1.0
    assert spans() == ()
    assert len(server.exchanges) == 1


def test_a_run_in_the_very_session_adds_no_span_to_its_store(server, client, tmp_path):
    path = tmp_path / "kept" / "sessions.db"
    exporter = StoreExporter(path)
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument_all(tracer_provider=provider)
    try:
        with using_session("chat-42"):
            asked(client)
            with SessionStore(path) as store:
                made = judge("outcome", client=client, model=MODEL, provider="openai")
                run = evaluate(store, [made])
                assert (run.made, run.failed, run.unknown) == (1, 0, 0)
                assert len(list(store.spans("chat-42"))) == 1
                (kept,) = current(store, session_id="chat-42")
                assert (kept.label, kept.version) == ("no", made.version)
                assert kept.metadata["coverage"] == "its only turn"
                assert evaluate(store, [made]).fresh == 1
                assert len(server.exchanges) == 2
                # It goes on, and only then is it judged again.
                asked(client)
                assert evaluate(store, [made]).made == 1
                assert len(list(store.spans("chat-42"))) == 2
                assert [it.metadata["coverage"] for it in history(store)] == [
                    "its only turn",
                    "all 2 turns",
                ]
    finally:
        uninstrument_all()
        exporter.shutdown()


def test_json_of_the_server_is_what_was_expected(server, client):
    """The tests above rest on it: the first label, unless a text is given."""
    with texts_from(plain):
        assert json.loads(asked(client).choices[0].message.content)["label"] == "partly"
