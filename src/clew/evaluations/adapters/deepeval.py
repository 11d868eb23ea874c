"""Runs a metric of deepeval on sessions, or one that is not conversational on turns."""

import asyncio
import inspect
import json
import re
from copy import copy
from typing import Any

from clew.core.errors import EvaluationError
from clew.evaluations.adapters.inputs import (
    Inputs,
    check_inputs,
    documents_of,
    fields_of,
    refuse,
)
from clew.evaluations.evaluation import Evaluation
from clew.evaluations.evaluators import Evaluator
from clew.evaluations.judging.models import JudgeError
from clew.evaluations.judging.transcripts import instructions_of
from clew.sessions.model import Turn
from clew.sessions.session import Session

_FILLED = {"actual_output", "tools_called", "retrieval_context", "chatbot_role"}
"""Fields that are made of what is judged: where one is missing, there was nothing of it."""
_MODELS = ("model", "evaluation_model", "system_one_model")
_QUIET = {"_show_indicator": False, "_log_metric_to_confident": False}


def from_deepeval(
    metric: Any,
    *,
    inputs: Inputs | None = None,
    name: str | None = None,
    version: str = "",
    higher_is_better: bool | None = True,
) -> Evaluator:
    """Make an evaluator of a metric of deepeval.

    A conversational metric judges sessions, any other one turns. The label says whether its
    threshold was reached, the explanation is its reason. Where the metric needs documents, tools
    or a role, and there were none, the answer is not known.

    Args:
        metric: It is given a test case with the turns, the tools that were called, the documents
            that were found, and the assistant's instructions as its role.
        inputs: Makes further fields of its test case of what is judged, ``expected_output``, say.
            They replace those that are filled in already.
        name: What its result is called; as the metric is.
        version: Change it with the metric.
        higher_is_better: False for metrics of a fault, such as toxicity.
    """
    from deepeval.errors import MissingTestCaseParamsError
    from deepeval.metrics import BaseConversationalMetric, BaseMetric

    if not isinstance(metric, BaseMetric | BaseConversationalMetric):
        needed = "a metric of deepeval, such as AnswerRelevancyMetric()"
        refuse("from_deepeval", needed, metric)
    if inputs is not None:
        check_inputs(inputs)
    of_session = isinstance(metric, BaseConversationalMetric)
    called = name or str(metric.__name__)

    async def evaluate(subject: Any) -> Evaluation | None:
        given = {} if inputs is None else await fields_of(inputs, subject)
        make_case = _conversation if of_session else _test_case
        case = await asyncio.to_thread(make_case, subject, given)
        if case is None:
            return None
        # It keeps its result in itself, and several sessions are judged at the same time.
        measured = copy(metric)
        try:
            await _measure(measured, case)
        except MissingTestCaseParamsError as error:
            # It says which in its message only: "'a' and 'b' cannot be None for the 'M' metric".
            missing = set(re.findall(r"'(\w+)'", str(error).partition(" for the ")[0]))
            if missing and missing <= _FILLED | given.keys():
                return None
            raise
        if measured.error:
            message = f"deepeval's {called!r} failed: {measured.error:.200}"
            raise JudgeError(message)
        if measured.skipped or measured.score is None:
            return None
        passed = measured.is_successful()
        known = {"cost": measured.evaluation_cost, "model": measured.evaluation_model}
        return Evaluation(
            called,
            score=measured.score,
            label=None if passed is None else ("passed" if passed else "failed"),
            explanation=measured.reason or None,
            metadata={
                **{key: value for key, value in known.items() if isinstance(value, str | float)},
                "threshold": measured.threshold,
            },
        )

    return Evaluator(
        evaluate,
        called,
        level="session" if of_session else "turn",
        version=version,
        kind="LLM" if _asks_model(metric) else "CODE",
        higher_is_better=higher_is_better,
    )


def _asks_model(metric: Any) -> bool:
    return any(getattr(metric, it, None) is not None for it in _MODELS)


async def _measure(metric: Any, case: Any) -> None:
    measure = metric.a_measure if metric.async_mode else metric.measure
    known = inspect.signature(measure).parameters
    quiet = {key: value for key, value in _QUIET.items() if key in known}
    if metric.async_mode:
        await measure(case, **quiet)
    else:
        await asyncio.to_thread(measure, case, **quiet)


def _conversation(session: Session, given: dict[str, Any]) -> Any:
    from deepeval.test_case import ConversationalTestCase
    from deepeval.test_case import Turn as Said

    turns = list(session.turns)
    if not turns:
        return None
    said = []
    for turn in turns:
        said.append(Said(role="user", content=turn.input.text))
        said.append(
            Said(
                role="assistant",
                content=turn.output.text,
                tools_called=_tools(turn) or None,
                retrieval_context=documents_of(turn) or None,
            )
        )
    role = next(filter(None, map(instructions_of, turns)), None)
    own = {"turns": said, "chatbot_role": role, "name": session.id}
    return _made(ConversationalTestCase, own, given)


def _test_case(turn: Turn, given: dict[str, Any]) -> Any:
    from deepeval.test_case import LLMTestCase

    tools = _tools(turn)
    # Where it is said which tools were expected, to have called none is an answer as well.
    nothing: list[Any] | None = None if given.get("expected_tools") is None else []
    own = {
        "input": turn.input.text,
        "actual_output": turn.output.text,
        "tools_called": tools or nothing,
        "retrieval_context": documents_of(turn) or None,
    }
    return _made(LLMTestCase, own, given)


def _made(case: Any, own: dict[str, Any], given: dict[str, Any]) -> Any:
    """Return a test case; deepeval itself would ignore a field that it does not know."""
    for name in given:
        if name not in case.model_fields:
            message = (
                f"inputs made the field {name!r:.80}, which no {case.__name__} of deepeval has; "
                f"it has {', '.join(case.model_fields)}"
            )
            raise EvaluationError(message)
    return case(**{**own, **given})


def _tools(turn: Turn) -> list[Any]:
    from deepeval.test_case import ToolCall

    return [
        ToolCall(name=it.name, input_parameters=_parameters(it.arguments), output=it.result or None)
        for it in turn.calls
        if it.kind == "tool"
    ]


def _parameters(arguments: str) -> dict[str, Any] | None:
    try:
        found = json.loads(arguments)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
