"""phoenix-evals: its classifiers, through OpenAI's SDK, and its functions."""

import asyncio
import json
import shlex

import pytest
from click.testing import CliRunner
from phoenix.evals import LLM, Evaluator, Score, create_classifier, create_evaluator

from clew import evaluations
from clew.cli import main
from clew.evaluations import Evaluation, EvaluationError
from clew.evaluations.adapters import from_phoenix_evals
from clew.sessions.store import SessionStore
from tests.release.docs import commands
from tests.release.docs.blocks import blocks

TEMPLATE = "Is the user content?\n\n{{conversation}}"
CHOICES = {"content": 1.0, "annoyed": 0.0}


@pytest.fixture
def model(server):
    given = {"base_url": server.openai_url, "api_key": "key"}
    return LLM(
        provider="openai",
        model="gpt-4o-mini",
        client="openai",
        sync_client_kwargs=given,
        async_client_kwargs=given,
    )


def test_a_classifier_judges_a_session(server, model, session):
    classifier = create_classifier(
        name="content", prompt_template=TEMPLATE, llm=model, choices=CHOICES
    )
    made = from_phoenix_evals(classifier, version="1")
    assert (made.name, made.level, made.kind, made.version) == ("content", "session", "LLM", "1")
    assert made.higher_is_better is True
    found = asyncio.run(made(session))
    assert (found.name, found.score, found.label) == ("content", 1.0, "content")
    assert found.explanation
    assert found.annotator_kind == "LLM"
    assert found.metadata["coverage"] == "all 2 turns"
    (exchange,) = server.exchanges
    told = json.dumps(exchange.body)
    assert "> Where is my order A-17?" in told
    assert "> You are welcome." in told


def test_a_classifier_judges_a_turn(server, model, session):
    template = "Is {{output}} an answer to {{input}}? It knew: {{context}}"
    classifier = create_classifier(
        name="answered",
        prompt_template=template,
        llm=model,
        choices=["yes", "no"],
        direction="minimize",
    )
    made = from_phoenix_evals(classifier, level="turn", name="unanswered")
    assert made.higher_is_better is False
    found = asyncio.run(made(session.turns[0]))
    assert (found.name, found.score, found.label) == ("unanswered", None, "yes")
    (exchange,) = server.exchanges
    assert "It knew: Orders are sent within a day." in json.dumps(exchange.body)


def test_a_function_and_inputs_of_ones_own(session):
    @create_evaluator(name="turns", kind="code")
    def count(number: int) -> Score:
        return Score(score=number, metadata={"of": "turns"})

    made = from_phoenix_evals(count, inputs=lambda it: {"number": len(it.turns)})
    found = asyncio.run(made(session))
    assert (found.score, found.annotator_kind) == (2, "CODE")
    assert found.metadata["of"] == "turns"


def test_one_of_several_scores_is_chosen(session):
    class Both(Evaluator):
        def _evaluate(self, eval_input):
            length = len(eval_input["output"])
            return [Score(name="long", score=length), Score(name="polite", label="yes")]

    both = Both(name="both", kind="code")
    both.bind({"output": "output"})
    with pytest.raises(EvaluationError, match=r"'long', 'polite': say score="):
        asyncio.run(from_phoenix_evals(both)(session))
    found = asyncio.run(from_phoenix_evals(both, score="polite", name="polite")(session))
    assert (found.name, found.label) == ("polite", "yes")


@pytest.mark.parametrize("given", [3, lambda _: 1, Evaluator])
def test_what_is_no_evaluator_is_refused(given):
    with pytest.raises(EvaluationError, match=r"needs an evaluator of phoenix-evals, .*, not"):
        from_phoenix_evals(given)


def test_inputs_may_be_asynchronous_and_are_checked(session):
    @create_evaluator(name="turns", kind="code")
    def count(number: int) -> Score:
        return Score(score=number)

    async def later(it):
        await asyncio.sleep(0)
        return {"number": len(it.turns)}

    assert asyncio.run(from_phoenix_evals(count, inputs=later)(session)).score == 2
    with pytest.raises(EvaluationError, match="returned 7; it must return"):
        asyncio.run(from_phoenix_evals(count, inputs=lambda _: 7)(session))


def test_the_recipe_prints_the_metrics_that_it_says(session, tmp_path):
    lines = [
        line
        for block in blocks("docs/recipes/phoenix-evals.md")
        if block.language == "shell"
        for line in commands.lines(block.code)
        if line.startswith("clew metrics ")
    ]
    assert lines
    store = tmp_path / "kept" / "sessions.db"
    with SessionStore(store) as opened:
        evaluations.add(opened, Evaluation("content", score=1.0, session_id="chat-42"))
    for line in lines:
        done = CliRunner().invoke(main, [*shlex.split(line)[1:], "--store", str(store)])
        assert done.exit_code == 0, done.output
        assert "ada" in done.output
