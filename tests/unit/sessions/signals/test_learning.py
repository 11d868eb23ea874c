"""The weights are learnt from labelled conversations: figures, regression, and the whole way."""

import json
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("bench", reason="The sdist has no benchmarks.")

from bench.break_figures import Judged, auc, average_precision, figures
from bench.dialogues import Label, dialogues, number, span
from bench.logistic import Prior, fit, logistic
from bench.signals_weights import left_out, read_sets


def test_auc() -> None:
    truths = [False, True, False, True]
    assert auc([1, 2, 3, 4], truths) == 0.75
    assert auc([1, 1, 1, 1], truths) == 0.5
    assert auc([1, 2], [True, True]) is None


def test_average_precision() -> None:
    assert average_precision([4, 3, 2, 1], [True, False, True, False]) == pytest.approx(5 / 6)
    assert average_precision([1, 1], [True, False]) == 0.5
    assert average_precision([1], [False]) is None


def test_a_regression_finds_what_matters() -> None:
    rows = [{"matters": it % 2, "noise": it % 3 / 2} for it in range(60)]
    weights, bias = fit(rows, [it % 2 * 0.8 + 0.1 for it in range(60)], {}, steps=600)
    assert weights["matters"] > 2 > abs(weights["noise"])
    assert logistic(bias + weights["matters"]) == pytest.approx(0.9, abs=0.1)


def test_what_data_do_not_say_stays_as_assumed_and_limits_are_kept() -> None:
    rows = [{"against": it % 2} for it in range(60)]
    targets = [0.1 + 0.8 * (1 - it % 2) for it in range(60)]
    priors = {"unseen": Prior(2.0), "against": Prior(0.5, least=0.25)}
    weights, _ = fit(rows, targets, priors)
    assert weights["unseen"] == pytest.approx(2.0, abs=0.01)
    assert weights["against"] == 0.25


def test_the_worst_turn_and_the_first_guess() -> None:
    labels = [Label(it, "user", it == 2, float(it == 2), 0.0) for it in range(4)]
    found = figures([Judged(labels, [0.1, 0.9, 0.8, 0.2])], 0.5)
    assert (found["first_guess"], found["within_one"]) == (0, 1)
    assert (found["first_guess_by_chance"], found["within_one_by_chance"]) == (0.25, 0.75)
    assert (found["precision"], found["recall"]) == (0.5, 1)


def _write(folder: Path, name: str) -> None:
    calm = [("Where is it?", 4.0), ("Thanks, great!", 5.0)]
    annoyed = [("Where is it?", 4.0), ("That's wrong, you never listen!", 1.0), ("Thanks", 4.0)]
    lines = [
        {
            "set": name,
            "id": it,
            "turns": [
                message
                for text, value in (annoyed if it % 2 else calm)
                for message in (
                    {"role": "user", "text": text, "satisfaction": value},
                    {"role": "assistant", "text": "It is on its way."},
                )
            ],
        }
        for it in range(20)
    ]
    text = "\n".join(json.dumps(it) for it in lines)
    (folder / f"{name}.jsonl").write_text(text, "utf-8")


def test_a_set_is_measured_with_weights_that_have_not_seen_it(tmp_path: Path) -> None:
    _write(tmp_path, "one")
    _write(tmp_path, "other")
    found = left_out(read_sets(tmp_path), "one")
    assert (found["turns"], found["bad_turns"], found["bad_conversations"]) == (50, 10, 10)
    assert (found["auc_turn"], found["first_guess"], found["auc_conversation"]) == (1, 1, 1)


def test_messages_are_spans(tmp_path: Path) -> None:
    _write(tmp_path, "one")
    (first, *_) = dialogues(tmp_path)
    assert [number(it.root_id) for it in first.turns] == [0, 2]
    assert [number(it.span_id) for turn in first.turns for it in turn.calls] == [1, 3]
    assert number(span(7)) == 7


def test_a_folder_without_conversations_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=str(tmp_path)):
        list(dialogues(tmp_path))


def test_the_weights_come_with_figures() -> None:
    from clew.sessions.signals.weights import PATH

    measured = tomllib.loads(PATH.read_text("utf-8"))["measured"]
    assert measured
    assert all(it["auc_turn"] > 0.5 for it in measured.values())
