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


def test_another_level_is_refused():
    with pytest.raises(EvaluationError, match="level='call' of an adapter"):
        from_autoevals(Levenshtein, level="call")


def test_what_is_given_of_a_turn_and_a_session(session):
    assert inputs_of(session.turns[0])["context"] == "Orders are sent within a day."
    assert inputs_of(session)["messages"][0]["role"] == "user"
