"""deepeval: conversational metrics on sessions, others on turns, with a model of the tests."""

import asyncio

import pytest
from deepeval.metrics import (
    AnswerRelevancyMetric,
    BaseConversationalMetric,
    ConversationCompletenessMetric,
    RoleAdherenceMetric,
)
from deepeval.models import DeepEvalBaseLLM

from clew.evaluations import JudgeError
from clew.evaluations.adapters import from_deepeval
from tests.support.providers.schemas import example


class Scripted(DeepEvalBaseLLM):
    """A model that answers with the smallest value of the form that it is asked for."""

    def __init__(self):
        self.told = []
        super().__init__("scripted")

    def load_model(self):
        return self

    def get_model_name(self):
        return "scripted"

    def generate(self, prompt, schema=None):
        self.told.append(prompt)
        return schema.model_validate(example(schema.model_json_schema())) if schema else "word"

    async def a_generate(self, prompt, schema=None):
        return self.generate(prompt, schema)


class Length(BaseConversationalMetric):
    """A metric of a user's."""

    threshold = 3

    async def a_measure(self, test_case, *args, **kwargs):
        await asyncio.sleep(0)
        self.case = test_case
        self.error = "broken" if self.threshold == 0 else None
        self.score = len(test_case.turns)
        self.reason = f"{self.score} messages"
        return self.score

    def measure(self, test_case, *args, **kwargs):
        return asyncio.run(self.a_measure(test_case))

    @property
    def __name__(self):
        return "Length"


@pytest.mark.parametrize("async_mode", [True, False])
def test_a_conversational_metric_judges_a_session(session, async_mode):
    model = Scripted()
    metric = ConversationCompletenessMetric(model=model, async_mode=async_mode)
    made = from_deepeval(metric, version="1")
    assert (made.level, made.kind, made.version) == ("session", "LLM", "1")
    found = asyncio.run(made(session))
    assert found.name == made.name == "Conversation Completeness"
    assert 0 <= found.score <= 1
    assert found.label in {"passed", "failed"}
    assert found.explanation
    assert found.metadata["threshold"] == 0.5
    assert found.metadata["model"] == "scripted"
    assert any("Where is my order A-17?" in it for it in model.told)
    assert metric.score is None  # Many sessions are judged with it at the same time.


def test_the_role_is_the_assistants_instructions(session):
    model = Scripted()
    found = asyncio.run(from_deepeval(RoleAdherenceMetric(model=model))(session))
    assert found.score is not None
    assert any("You help the customers of a bicycle shop." in it for it in model.told)


def test_another_metric_judges_a_turn(session):
    model = Scripted()
    made = from_deepeval(AnswerRelevancyMetric(model=model), name="relevant")
    assert (made.name, made.level) == ("relevant", "turn")
    assert asyncio.run(made(session.turns[0])).score is not None
    assert any("It was sent yesterday." in it for it in model.told)


def test_a_metric_of_ones_own_is_given_the_tools_and_documents(session):
    metric = Length()
    seen = []
    asyncio.run(from_deepeval(noting(metric, seen))(session))
    (case,) = seen
    assert [it.role for it in case.turns] == ["user", "assistant"] * 2
    (tool,) = case.turns[1].tools_called
    assert (tool.name, tool.input_parameters) == ("get_order", {"number": "A-17"})
    assert tool.output == '{"status": "sent"}'
    assert case.turns[1].retrieval_context == ["Orders are sent within a day."]
    found = asyncio.run(from_deepeval(metric, higher_is_better=None)(session))
    assert (found.name, found.score, found.label) == ("Length", 4, "passed")


def noting(metric, seen):
    measure = type(metric).a_measure

    class Noting(type(metric)):
        async def a_measure(self, test_case, *args, **kwargs):
            seen.append(test_case)
            return await measure(self, test_case)

    return Noting()


def test_a_metric_that_failed_is_an_error(session):
    metric = Length()
    metric.threshold = 0
    with pytest.raises(JudgeError, match="'Length' failed: broken"):
        asyncio.run(from_deepeval(metric)(session))
