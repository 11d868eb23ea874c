"""What is asked of each conversation: one thing by a function, another by a model."""

import os
import re

import openai

from clew.evaluations import evaluator, judge
from clew.sessions import Session

if not os.getenv("OPENAI_API_KEY"):  # Without a key, written answers stand in for the judge's.
    import written

    written.serve()

ORDER = re.compile(r"\bA-\d+\b")


@evaluator(version="1", higher_is_better=True)
def right_order(session: Session) -> bool | None:
    """Does the assistant speak of no other order? Unknown where the customer names none."""
    asked = {it for turn in session.turns for it in ORDER.findall(turn.input.text)}
    answered = {it for turn in session.turns for it in ORDER.findall(turn.output.text)}
    return answered <= asked if asked else None


outcome = judge("outcome", client=openai.OpenAI(), model="gpt-4o-mini")
