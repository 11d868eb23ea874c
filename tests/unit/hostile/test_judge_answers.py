"""Whatever a model answers, it is a verdict with one of the labels, or an error that says why."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core.errors import ClewError
from clew.evaluations import Evaluation, JudgeError, judge
from clew.evaluations.returned import evaluation_of
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import turn
from tests.unit.hostile.inputs import changes, texts, values

GOOD = {"explanation": "It was sent.", "label": "yes"}
LABELS = {"no", "partly", "yes", "unknown"}
said = st.one_of(
    changes([GOOD]).map(json.dumps),
    values.map(json.dumps),
    texts,
    texts.map(lambda it: f"```json\n{it}```"),
)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "sessions.db"
    connection = connect(path, create=True)
    Writer(connection).add(turn())
    connection.close()
    with SessionStore(path) as store:
        yield store.get("chat-42")


def judged(session, client, **options):
    """Return the verdict, or None where it is an error."""
    message = ""
    try:
        return asyncio.run(judge("outcome", client=client, **options)(session))
    except ClewError as error:
        message = str(error)
    assert 0 < len(message) < 2000
    return None


def check(found):
    assert found is None or isinstance(found, Evaluation)
    if found is not None:
        assert found.label in LABELS
        assert found.score in {0.0, 0.5, 1.0, None}
        assert evaluation_of(found, "outcome", "LLM", "1") is not None


@settings(max_examples=40)
@given(said)
def test_any_text(session, text):
    check(judged(session, lambda _: text))


@settings(max_examples=40)
@given(values)
def test_anything_but_a_text(session, value):
    check(judged(session, lambda _: value))


class Client:
    """A client that speaks as OpenAI's does, and whose answer is *response*."""

    def __init__(self, response, base_url):
        create = SimpleNamespace(create=lambda **_: response)
        self.chat, self.base_url = SimpleNamespace(completions=create), base_url


RESPONSE = {
    "choices": [
        {"message": {"content": json.dumps(GOOD), "refusal": None}, "finish_reason": "stop"}
    ],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 2},
    },
    "model": "gpt-4o-mini",
}


@settings(max_examples=40)
@given(changes([RESPONSE]), st.sampled_from(["https://api.openai.com/v1", "http://[", "", "x"]))
def test_any_response(session, response, url):
    check(judged(session, Client(response, url), model="gpt-4o-mini"))


@given(values | st.binary(max_size=5) | st.complex_numbers())
def test_any_result_of_an_evaluator(value):
    try:
        found = evaluation_of(value, "it", "CODE", "1")
    except ClewError:
        return
    assert found is None or found.name == "it"


@pytest.mark.parametrize("value", [10**5000, -(10**5000)], ids=["huge", "least"])
def test_a_number_that_cannot_be_written_is_named_by_its_type(value):
    with pytest.raises(ClewError, match="evaluator 'it' returned a int: "):
        evaluation_of(value, "it", "CODE", "1")


@pytest.mark.parametrize(
    "changed",
    [
        {"choices": True},
        {"choices": {"0": 1}},
        {"choices": [{"message": {"refusal": ["no"]}}]},
        {"choices": [{"message": {"refusal": {"why": 10**400}}}]},
    ],
    ids=range(4),
)
def test_a_response_of_another_form_is_an_error_that_says_so(session, changed):
    client = Client({**RESPONSE, **changed}, "https://api.openai.com/v1")
    with pytest.raises(JudgeError, match=r"cannot be used: it (has no text|refuses)"):
        asyncio.run(judge("outcome", client=client, model="gpt-4o-mini")(session))
