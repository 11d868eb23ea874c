"""What got better between two groups, and which sessions changed most."""

from random import Random

import pytest

from clew import evaluations
from clew.evaluations import Evaluation
from clew.evaluations.metrics import Metric, MetricError, compare
from tests.unit.evaluations.metrics.making import DAY, session


@pytest.fixture
def releases(filled):
    """Two releases that answered the same 20 questions, and an older one; 1.2 is dearer."""
    random, made = Random(1), [session("old", release="1.0", cost=9.0)]
    for number in range(20):
        for at, release, factor in ((1, "1.1", 1), (2, "1.2", 3)):
            name, cost = f"{release}/{number}", factor * random.uniform(0.01, 0.02)
            asked = f"Question {number}?"
            made.append(session(name, asked=asked, release=release, at=at * DAY, cost=cost))
    return filled(*made)


def test_the_two_newest_are_compared(releases):
    found = compare(releases, "metadata.release", measured=["cost", "turns"])
    assert (found.by, found.a, found.b) == ("metadata.release", "1.1", "1.2")
    cost, turns = found.differences
    assert cost.verdict == "worse"
    assert cost.difference == pytest.approx(cost.b.value - cost.a.value)
    assert 0 < cost.low < cost.difference < cost.high
    assert (cost.a.sessions, cost.b.sessions) == (20, 20)
    assert (turns.verdict, turns.difference) == ("no difference shown", 0)


def test_each_session_is_compared_with_the_one_that_began_alike(releases):
    (cost,) = compare(releases, "metadata.release", measured=["cost"]).differences
    assert len(cost.changed) == 5
    grown = [it.value - it.value_before for it in cost.changed]
    assert grown == sorted(grown, reverse=True)
    for it in cost.changed:
        assert it.session.startswith("1.2/")
        assert it.before == it.session.replace("1.2", "1.1")
        assert it.value == releases.get(it.session).cost
        assert it.value_before == releases.get(it.before).cost


def test_without_pairs_they_are_the_worst(filled):
    made = [
        session(f"{model}{it}", asked=f"{model} {it}", models=(model,), cost=it + 1.0)
        for model in "ab"
        for it in range(8)
    ]
    (cost,) = compare(filled(*made), "model", "a", "b", measured=["cost"]).differences
    assert [it.session for it in cost.changed] == ["b7", "b6", "b5", "b4", "b3"]
    assert {it.before for it in cost.changed} == {None}


def test_a_session_that_is_in_both_groups_is_not_named(filled):
    made = [
        session(f"{model}{it}", asked=f"{model} {it}", models=(model,), cost=it + 1.0)
        for model in "ab"
        for it in range(8)
    ]
    both = session("both", asked="Both", models=("a", "b"), cost=99.0)
    (cost,) = compare(filled(*made, both), "model", "a", "b", measured=["cost"]).differences
    assert [it.session for it in cost.changed] == ["b7", "b6", "b5", "b4", "b3"]
    assert (cost.a.sessions, cost.b.sessions) == (9, 9)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("1.0", "1.2"), ("1.0", "1.2")),
        (("1.2", None), ("1.2", "1.1")),
        ((None, "1.1"), ("1.2", "1.1")),
    ],
)
def test_groups_can_be_named(releases, names, expected):
    found = compare(releases, "metadata.release", *names, measured=["cost"])
    assert (found.a, found.b) == expected
    assert found.to_data()["differences"][0]["metric"] == "cost"


def test_one_session_shows_nothing(releases):
    (cost,) = compare(releases, "metadata.release", "1.0", "1.2", measured=["cost"]).differences
    assert (cost.low, cost.verdict) == (None, "no difference shown")


def test_shares_are_compared_as_shares_and_more_may_be_better(filled):
    pytest.importorskip("sqlglot")
    store = filled(*(session(f"{tag}{it}", tags=[tag]) for tag in "ab" for it in range(20)))
    for it in range(20):
        evaluations.add(store, Evaluation("resolved", score=it < 4, session_id=f"a{it}"))
        evaluations.add(store, Evaluation("resolved", score=it < 18, session_id=f"b{it}"))
    for better, verdict in ((True, "better"), (False, "worse")):
        metric = Metric("solved", "avg(resolved)", higher_is_better=better)
        (found,) = compare(store, "tag", "a", "b", measured=[metric]).differences
        assert found.verdict == verdict
        assert found.difference == pytest.approx(0.7)
        assert (found.low, found.high) == pytest.approx((0.4109, 0.8490), abs=0.01)


def test_what_was_never_evaluated_is_not_known(releases, tmp_path):
    pytest.importorskip("sqlglot")
    path = tmp_path / "other.toml"
    path.write_text('[tool.clew.metrics]\nsolved = "avg(resolved)"\n')
    found = compare(releases, "metadata.release", config=path)
    by_name = {it.metric.name: it for it in found.differences}
    assert (by_name["solved"].verdict, by_name["cost"].verdict) == ("not known", "worse")
    with pytest.raises(MetricError, match="evaluated as 'resolved'"):
        compare(releases, "metadata.release", measured=["solved"], config=path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("metadata.release", "1.3"), "no metadata.release '1.3'; there are: 1.0, 1.1, 1.2"),
        (("metadata.release", "1.2", "1.2"), "metadata.release '1.2' is both groups: name another"),
        (("metadata.prompt",), "by metadata.prompt there is none; others are by user, model"),
        (("user",), "two groups are compared, and by user there are 1"),
        (("session",), "groups of them"),
        (("releases",), "is no group"),
    ],
)
def test_what_cannot_be_compared(releases, arguments, says):
    with pytest.raises(MetricError, match=says):
        compare(releases, *arguments)
