"""deepeval: conversational metrics on sessions, others on turns, with a model of the tests."""

import asyncio

import pytest
from deepeval.errors import MissingTestCaseParamsError
from deepeval.metrics import (
    AnswerRelevancyMetric,
    BaseConversationalMetric,
    ConversationCompletenessMetric,
    ExactMatchMetric,
    FaithfulnessMetric,
    PatternMatchMetric,
    RoleAdherenceMetric,
    ToolCorrectnessMetric,
)
from deepeval.models import DeepEvalBaseLLM
from deepeval.test_case import ToolCall

from clew.evaluations import EvaluationError, JudgeError
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


def test_inputs_make_further_fields_of_a_test_case(session):
    async def expected(turn):
        await asyncio.sleep(0)
        return {"expected_output": turn.output.text}

    made = from_deepeval(ExactMatchMetric(), inputs=expected)
    assert asyncio.run(made(session.turns[0])).score == 1
    seen = []
    fields = {"expected_outcome": "It is known where the order is.", "chatbot_role": "A clerk."}
    asyncio.run(from_deepeval(noting(Length(), seen), inputs=lambda _: fields)(session))
    (case,) = seen
    assert (case.expected_outcome, case.chatbot_role) == tuple(fields.values())
    assert len(case.turns) == 4


def test_to_have_called_none_of_the_expected_tools_is_an_answer(session):
    def inputs(turn):
        return {"expected_tools": [ToolCall(name="get_order")]}

    made = from_deepeval(ToolCorrectnessMetric(model=Scripted()), inputs=inputs)
    asked, thanked = session.turns
    assert asyncio.run(made(asked)).score == 1
    assert asyncio.run(made(thanked)).score == 0


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (lambda _: {"expected": "x"}, "the field 'expected', which no LLMTestCase of deepeval"),
        (lambda _: None, "<lambda> returned None; it must return"),
    ],
)
def test_inputs_are_checked(session, inputs, says):
    with pytest.raises(EvaluationError, match=says):
        asyncio.run(from_deepeval(ExactMatchMetric(), inputs=inputs)(session.turns[0]))


def test_inputs_must_be_a_function():
    with pytest.raises(EvaluationError, match="inputs=3 of an adapter must be a function"):
        from_deepeval(ExactMatchMetric(), inputs=3)


@pytest.mark.parametrize("async_mode", [True, False])
def test_where_what_a_metric_needs_was_not_there_the_answer_is_not_known(session, async_mode):
    faithful = FaithfulnessMetric(model=Scripted(), async_mode=async_mode)
    found, nothing = session.turns
    assert asyncio.run(from_deepeval(faithful)(found)) is not None
    assert asyncio.run(from_deepeval(faithful)(nothing)) is None
    role = RoleAdherenceMetric(model=Scripted(), async_mode=async_mode)
    without = from_deepeval(role, inputs=lambda _: {"chatbot_role": None})
    assert asyncio.run(without(session)) is None


def test_a_field_that_only_inputs_can_make_is_named(session):
    with pytest.raises(MissingTestCaseParamsError, match="'expected_output' cannot be None"):
        asyncio.run(from_deepeval(ExactMatchMetric())(session.turns[0]))


def test_a_metric_without_a_model_is_code():
    assert from_deepeval(PatternMatchMetric(pattern=".*")).kind == "CODE"


@pytest.mark.parametrize("given", [3, AnswerRelevancyMetric])
def test_what_is_no_metric_is_refused(given):
    with pytest.raises(EvaluationError, match=r"from_deepeval needs a metric of deepeval, .*, not"):
        from_deepeval(given)
