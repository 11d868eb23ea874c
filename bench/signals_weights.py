"""``python -m bench.signals_weights --data FOLDER``: learns the weights that clew comes with.

The folder has labelled conversations (``bench/dialogues.py``), and stays outside of the repository.
Each set is first left out in turn: its figures are those of weights that have not seen it. Then the
weights are learnt from all sets, and written with these figures.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from bench.break_figures import Judged, figures
from bench.break_learning import SIDES, Example, examples, judged, learn
from bench.dialogues import dialogues
from clew.sessions.signals.weights import PATH, Weights

Sets = dict[str, dict[str, list[list[Example]]]]
"""The conversations of each set, as examples, by the side that is labelled."""

_BEGINNING = """\
# How friction and failure are told from evidence (evidence.py). Written by
# `python -m bench.signals_weights --data FOLDER`; do not edit by hand.
#
# `user` and `answer` are logistic regressions: 1 / (1 + exp(-(bias + sum of weight times
# evidence))) is how likely the user is annoyed in what they say, and how likely an answer annoys.
# From `threshold` on, a turn is called bad. `.weak` is evidence from phrases that may say
# something else; `before.` is the turn before, `answer.` the answer of the same turn, `user.` what
# was asked in it, `after.` the turn after.
#
# The weights of `failure` are not learnt: no data says where something went technically wrong.
"""
_MEASURED = """\
# What is reached on each set by weights that are learnt without it. The English phrases were
# written with uss-redial, uss-ccpe and half of dbdc3-iris in view, and which evidence is used, and
# how, was chosen by these figures: expect a little less elsewhere. All sets are in English: the
# other languages are not measured.
"""
_FAILURE = {
    "threshold": 0.5,
    "weights": {
        "error": 1.0,
        "no_answer": 0.9,
        "content_filter": 0.8,
        "tool_error": 0.7,
        "tool_loop": 0.6,
    },
}


def main() -> None:
    """Learn, print the figures, and write the weights."""
    parser = argparse.ArgumentParser(prog="python -m bench.signals_weights", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--output", type=Path, default=PATH, metavar="FILE")
    options = parser.parse_args()
    sets = read_sets(options.data)
    unseen = {name: left_out(sets, name) for name in sets}
    weights = {side: learn(side, everything(sets, side)) for side in SIDES}
    seen = {name: measured(sets, name, weights) for name in sets}
    for name, found in unseen.items():
        print(f"{name}, not seen: {found}\n{name}, seen:     {seen[name]}")
    options.output.write_text(_written(weights, unseen), "utf-8")
    if options.json:
        options.json.write_text(json.dumps({"unseen": unseen, "seen": seen}, indent=2), "utf-8")


def read_sets(folder: Path) -> Sets:
    """Return the labelled conversations of a folder."""
    sets: Sets = {}
    for dialogue in dialogues(folder):
        found = examples(dialogue)
        if found:
            side = sets.setdefault(dialogue.set, {})
            side.setdefault(found[0].label.side, []).append(found)
    return sets


def everything(sets: Sets, side: str, without: str = "") -> list[Example]:
    """Return all examples of a side, of all sets but one."""
    return [
        example
        for name, found in sets.items()
        if name != without
        for conversation in found.get(side, ())
        for example in conversation
    ]


def left_out(sets: Sets, name: str) -> dict[str, Any]:
    """Return the figures of a set with weights that are learnt from the others."""
    sides = [side for side in SIDES if side in sets[name] and everything(sets, side, name)]
    return measured(sets, name, {side: learn(side, everything(sets, side, name)) for side in sides})


def measured(sets: Sets, name: str, weights: dict[str, Weights]) -> dict[str, Any]:
    """Return the figures of a set."""
    for side, found in sets[name].items():
        if side in weights:
            several: list[Judged] = [judged(it, weights[side]) for it in found]
            return {"side": side, **figures(several, weights[side].threshold)}
    return {}


def _written(weights: dict[str, Weights], unseen: dict[str, dict[str, Any]]) -> str:
    lines = [_BEGINNING]
    for side, it in weights.items():
        lines += [f"[{side}]", f"bias = {it.bias}", f"threshold = {it.threshold}", ""]
        lines += [f"[{side}.weights]", *_table(dict(sorted(it.weights.items()))), ""]
    lines += ["[failure]", f"threshold = {_FAILURE['threshold']}", "", "[failure.weights]"]
    lines += [*_table(_FAILURE["weights"]), "", _MEASURED]
    for name, found in unseen.items():
        lines += [f"[measured.{_key(name)}]", *_table(found), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(values: Any) -> list[str]:
    return [
        f"{_key(name)} = {json.dumps(value)}" for name, value in values.items() if value is not None
    ]


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'


if __name__ == "__main__":
    main()
