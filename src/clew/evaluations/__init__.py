"""Evaluations: what a person, a model or a program says about a session or a turn.

from clew import evaluations, sessions
from clew.evaluations import Evaluation

with sessions.open() as store:
    evaluations.add(store, Evaluation("solved", score=1, session_id="chat-42"))
    for it in evaluations.current(store, session_id="chat-42"):
        print(it.name, it.score, it.label, it.explanation)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clew.core.errors import EvaluationError as EvaluationError
    from clew.evaluations.evaluation import Evaluation as Evaluation
    from clew.evaluations.evaluators import Evaluator as Evaluator
    from clew.evaluations.evaluators import evaluator as evaluator
    from clew.evaluations.judging.judges import judge as judge
    from clew.evaluations.judging.models import JudgeError as JudgeError
    from clew.evaluations.results import add as add
    from clew.evaluations.results import current as current
    from clew.evaluations.results import history as history
    from clew.evaluations.running.runner import evaluate as evaluate
    from clew.evaluations.running.runner import evaluate_async as evaluate_async
    from clew.evaluations.running.runs import Run as Run

_HOMES = {
    "Evaluation": "evaluation",
    "EvaluationError": "evaluation",
    "Evaluator": "evaluators",
    "JudgeError": "judging.models",
    "Run": "running.runs",
    "add": "results",
    "current": "results",
    "evaluate": "running.runner",
    "evaluate_async": "running.runner",
    "evaluator": "evaluators",
    "history": "results",
    "judge": "judging.judges",
}

__all__ = [
    "Evaluation",
    "EvaluationError",
    "Evaluator",
    "JudgeError",
    "Run",
    "add",
    "current",
    "evaluate",
    "evaluate_async",
    "evaluator",
    "history",
    "judge",
]


def __getattr__(name: str) -> Any:
    """Import what is used, and nothing before."""
    from importlib import import_module

    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__]
