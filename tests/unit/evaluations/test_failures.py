"""What evaluators raise is told as a failure, whatever it is, and the others go on."""

import sys

import pytest

from clew.evaluations import evaluate, evaluator
from tests.unit.evaluations.test_runs import said


class UntoldError(Exception):
    """One whose text cannot be made, as where a reply was not what its class expects."""

    def __str__(self):
        return self.args[0]["message"]


def exits():
    sys.exit(0)


def skips():
    pytest.skip("not here")


def fails_untold():
    message = "no mapping"
    raise UntoldError(message)


@pytest.mark.parametrize("is_asynchronous", [True, False])
@pytest.mark.parametrize(
    ("fail", "told"),
    [
        (exits, "EvaluationError: evaluator 'judged' raised SystemExit: 0"),
        (skips, "EvaluationError: evaluator 'judged' raised Skipped: not here"),
        (fails_untold, "UntoldError (it cannot be converted to text: TypeError)"),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_whatever_an_evaluator_raises_is_a_failure_of_it(store, fail, told, is_asynchronous):
    def answer(session):
        return fail() if session.id == "a" else True

    async def answer_later(session):
        return answer(session)

    judged = evaluator(name="judged")(answer_later if is_asynchronous else answer)
    run = evaluate(store, judged)
    assert (run.made, run.failed) == (1, 1)
    assert run.failures[0].error == told
    assert said(store) == {"b": (1.0, "yes")}
