"""``python -m bench breaks --data FOLDER``: is it found where people say a conversation breaks?

Reads any folder of labelled conversations (``bench/dialogues.py``). A set that the weights have
seen is marked, and is also measured with weights learnt from the other sets of the folder.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from bench.break_figures import auc
from bench.break_learning import Example
from bench.dialogues import Dialogue, dialogues, number
from bench.signals_weights import Sets, left_out, measured, read_sets
from clew.sessions.signals.scores import scores
from clew.sessions.signals.signals import SIGNALS
from clew.sessions.signals.weights import PATH, weights


def run(folder: Path, file: Path | None) -> None:
    """Measure the sets of a folder, print their figures, and write them into a file."""
    sets = read_sets(folder)
    seen = tomllib.loads(PATH.read_text("utf-8"))["measured"]
    used = {"user": weights().user, "answer": weights().answer}
    found: dict[str, dict[str, Any]] = {}
    for name in sets:
        found[name] = {"seen": name in seen, **measured(sets, name, used)}
        if name in seen:
            found[name]["left_out"] = left_out(sets, name)
        found[name]["signals"] = _alone(sets, name)
    others: dict[str, list[Dialogue]] = {}
    for dialogue in dialogues(folder):
        if dialogue.mistake is not None or dialogue.solved is not None:
            others.setdefault(dialogue.set, []).append(dialogue)
    for name, several in others.items():
        if several[0].mistake is not None:
            found[name] = {"seen": False, **_mistakes(several)}
        else:
            found[name] = {"seen": False, **_solved(several)}
    for name, figures in found.items():
        print(f"\n{name}{', seen by the weights' if figures['seen'] else ''}")
        for key, value in figures.items():
            print(f"  {key}: {value}")
    if file:
        file.write_text(json.dumps({"sets": found}, indent=2) + "\n", "utf-8")


def _alone(sets: Sets, name: str) -> dict[str, float]:
    """Return the AUC of each signal alone, in the turn and, for answers, in the turn after it."""
    found: dict[str, float] = {}
    for conversations in sets[name].values():
        every = [example for it in conversations for example in it]
        truths = [it.label.bad for it in every]
        for signal in SIGNALS:
            for prefix in ("", "before.", "answer.", "user.", "after."):
                values = [_score(it, f"{prefix}{signal}") for it in every]
                if any(values):
                    found[f"{prefix}{signal}"] = round(auc(values, truths) or 0.0, 3)
    return found


def _score(example: Example, name: str) -> float:
    weak = 0.5 * example.evidence.get(f"{name}.weak", 0.0)
    return example.evidence.get(name, 0.0) or weak


def _mistakes(several: list[Dialogue]) -> dict[str, Any]:
    """Return how often the decisive step of agents is found.

    It is the call that asked for the first tool that failed. Where none failed, nothing is known;
    then the first step after the task is guessed, and how good that is alone is returned as well.
    """
    failed = right = near = guessed = 0
    for it in several:
        bad = scores(it.turns).worst_failure
        failed += bad is not None
        step = min(1, it.messages - 1) if bad is None else number(bad.cause_id)
        right += step == it.mistake
        near += abs(step - (it.mistake or 0)) <= 1
        guessed += it.mistake == 1
    count = len(several)
    return {
        "conversations": count,
        "a_tool_failed": failed,
        "decisive_step": round(right / count, 3),
        "decisive_step_within_one": round(near / count, 3),
        "decisive_step_by_always_the_first": round(guessed / count, 3),
    }


def _solved(several: list[Dialogue]) -> dict[str, Any]:
    """Return how well friction and failure tell that a task was not solved; they need not."""
    told = [scores(it.turns) for it in several]
    truths = [not it.solved for it in several]
    friction = auc([it.friction for it in told], truths)
    failure = auc([it.failure for it in told], truths)
    return {
        "conversations": len(several),
        "not_solved": sum(truths),
        "auc_not_solved_by_friction": round(friction, 3) if friction is not None else None,
        "auc_not_solved_by_failure": round(failure, 3) if failure is not None else None,
    }
