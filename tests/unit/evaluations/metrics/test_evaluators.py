"""Metrics over what evaluators said: what is fresh counts, what is stale does not."""

import pytest

from clew import evaluations
from clew.evaluations import evaluator
from clew.evaluations.metrics import figures
from tests.unit.evaluations.metrics.making import DAY, session

pytest.importorskip("sqlglot")


@evaluator(name="resolved", version="1")
def resolved(given):
    """Say that sessions of one turn are resolved, and cannot tell of those of a."""
    return None if given.id == "a" else len(given.turns) == 1


def figure(store):
    it = figures(store, "avg(resolved)").overall
    return it.value, it.sessions, it.of


def test_only_what_is_fresh_counts(filled):
    store = filled(session("a"), session("b"), session("c", models=("x", "y")))
    evaluations.evaluate(store, [resolved])
    assert figure(store) == (0.5, 2, 3)  # Of a it is not known.
    store = filled(session("b", at=DAY, models=("later", "than that")))
    assert figure(store) == (0.0, 1, 3)
    evaluations.evaluate(store, [resolved])
    assert figure(store) == (0.0, 2, 3)
    assert figures(store, "judged").overall.value == pytest.approx(2 / 3)
