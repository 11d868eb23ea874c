"""autoevals: a scorer without a model, and one that asks a model through OpenAI's SDK."""

import asyncio
import json

import openai
import pytest
from autoevals import Levenshtein, LLMClassifier

from clew.evaluations import EvaluationError
from clew.evaluations.adapters import from_autoevals
from clew.evaluations.adapters.inputs import inputs_of


@pytest.mark.parametrize("scorer", [Levenshtein, Levenshtein()])
def test_a_scorer_without_a_model_judges_a_turn(session, scorer):
    def inputs(turn):
        return {"output": turn.output.text, "expected": "It was sent yesterday!"}

    made = from_autoevals(scorer, inputs=inputs, version="1")
    assert (made.name, made.level, made.kind) == ("Levenshtein", "turn", "CODE")
    found = asyncio.run(made(session.turns[0]))
    assert found.score == pytest.approx(21 / 22)
    assert found.annotator_kind == "CODE"
    assert made.higher_is_better is True


@pytest.mark.parametrize("client", [openai.OpenAI, openai.AsyncOpenAI])
def test_a_classifier_judges_a_session_by_its_thread(server, session, client):
    scorer = LLMClassifier(
        name="content",
        prompt_template="Is the user content?\n{{thread}}\nIt ended: {{output}}",
        choice_scores={"content": 1, "annoyed": 0},
        model="gpt-4o-mini",
        client=client(base_url=server.openai_url, api_key="key"),
    )
    made = from_autoevals(scorer, level="session")
    assert (made.name, made.level, made.kind) == ("content", "session", "LLM")
    found = asyncio.run(made(session))
    assert found.score in {0, 1}
    assert found.label in {"content", "annoyed"}
    assert found.explanation
    assert found.metadata["coverage"] == "all 2 turns"
    (exchange,) = server.exchanges
    told = json.dumps(exchange.body)
    assert "Where is my order A-17?" in told
    assert "It ended: You are welcome." in told


def test_a_score_that_was_skipped_is_unknown(session):
    class Skipping(Levenshtein):
        def _run_eval_sync(self, output, expected=None, **kwargs):
            return type("Score", (), {"score": None, "metadata": {}})()

    assert asyncio.run(from_autoevals(Skipping())(session.turns[0])) is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda **_: 1, "needs a scorer of autoevals, such as .*not <function"),
        (3, "not 3"),
        (int, r"not the class int: give int\(\.\.\.\)"),
        (LLMClassifier, r"cannot make a LLMClassifier \(.*: give LLMClassifier\(\.\.\.\)"),
    ],
)
def test_what_is_no_scorer_is_refused(given, says):
    with pytest.raises(EvaluationError, match=says):
        from_autoevals(given)


def test_inputs_may_be_asynchronous_and_are_checked(session):
    async def later(turn):
        await asyncio.sleep(0)
        return {"output": turn.output.text, "expected": turn.output.text}

    def nothing(turn):
        return None

    made = from_autoevals(Levenshtein, inputs=later)
    assert asyncio.run(made(session.turns[0])).score == 1
    with pytest.raises(EvaluationError, match="inputs=nothing returned None; it must return"):
        asyncio.run(from_autoevals(Levenshtein, inputs=nothing)(session.turns[0]))
    with pytest.raises(EvaluationError, match=r"inputs=\{\} of an adapter must be a function"):
        from_autoevals(Levenshtein, inputs={})


def test_a_scorer_of_a_fault():
    assert from_autoevals(Levenshtein, higher_is_better=False).higher_is_better is False


def test_another_level_is_refused():
    with pytest.raises(EvaluationError, match="level='call' of an adapter"):
        from_autoevals(Levenshtein, level="call")


def test_what_is_given_of_a_turn_and_a_session(session):
    assert inputs_of(session.turns[0])["context"] == "Orders are sent within a day."
    assert inputs_of(session)["messages"][0]["role"] == "user"
