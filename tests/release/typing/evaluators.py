"""Evaluators and judges as type checkers see them. Never run."""

from typing import assert_type

from clew.evaluations import Evaluation, Evaluator, JudgeError, evaluator, judge
from clew.sessions import Session, Turn


@evaluator
def short(session: Session) -> bool:
    return len(session.turns) < 3


@evaluator(name="wordy", level="turn", version="2", kind="CODE", higher_is_better=False)
async def long(turn: Turn, session: Session) -> Evaluation | None:
    return Evaluation(score=len(turn.output.text), explanation=session.id)


def answer(messages: list[dict[str, str]]) -> str:
    return messages[0]["content"]


assert_type(short, Evaluator)
assert_type(long, Evaluator)
assert_type(short.higher_is_better, bool | None)
assert_type(judge("outcome", client=answer), Evaluator)
judge("polite", client=answer, prompt="Is it?", choices={"no": 0, "yes": 1}, higher_is_better=True)
judge("outcome")  # type: ignore[call-arg]


async def main(session: Session) -> None:
    try:
        assert_type(await short(session), Evaluation | None)
        assert_type(await long(session.turns[0], session), Evaluation | None)
    except JudgeError as error:
        assert_type(error.cost, float | None)


evaluator(level="conversation")  # type: ignore[call-overload]
