"""Figures equal a plain computation in Python, whatever the sessions and their groups are."""

from datetime import UTC, datetime, timedelta
from random import Random
from statistics import fmean

import pytest

from clew import evaluations
from clew.core.errors import ConfigurationError
from clew.evaluations import Evaluation
from clew.evaluations.metrics import Metric, MetricError, figures
from clew.evaluations.metrics.nodes import COLUMNS
from tests.support.conversation_spans import START
from tests.unit.evaluations.metrics.making import DAY, session

BEGAN = datetime.fromtimestamp(START / 1e9, UTC)


def value(store, expression, **given):
    return figures(store, Metric("it", expression), **given).overall.value


def values(store, expression, by, **given):
    return {
        it.group: it.value for it in figures(store, Metric("it", expression), by=by, **given).groups
    }


def test_the_columns_are_those_of_the_view(filled):
    assert sorted(filled().sql("SELECT * FROM sessions").columns) == sorted(COLUMNS)


@pytest.fixture
def random_sessions(filled):
    """60 sessions of some users, with releases and tags, and what is plainly known of each."""
    random, plain, made = Random(3), {}, []
    for number in range(60):
        it = {
            "user": f"user-{random.randint(1, 7)}",
            "release": random.choice(["1.0", "1.1", None]),
            "tags": random.sample(["new", "paid", "test"], random.randint(0, 2)),
            "models": random.choice([("a",), ("b",), ("a", "b"), ("b", "b", "a")]),
            "cost": random.choice([None, random.lognormvariate(-4, 1)]),
            "at": random.randint(0, 3) * DAY,
            "error": random.choice(["", "", "429"]),
        }
        plain[f"s{number}"] = it
        made.append(session(f"s{number}", **it))
    store = filled(*made)
    for name, it in plain.items():
        it["total"] = None if it["cost"] is None else it["cost"] * len(it["models"])
        it["resolved"] = random.choice([None, 0.0, 1.0])
        if it["resolved"] is not None:
            label = "yes" if it["resolved"] else "no"
            evaluations.add(
                store, Evaluation("resolved", score=it["resolved"], label=label, session_id=name)
            )
    return store, plain


@pytest.mark.parametrize(
    ("by", "belongs"),
    [
        ("user", lambda it: [it["user"]]),
        ("model", lambda it: it["models"]),
        ("tag", lambda it: it["tags"]),
        ("metadata.release", lambda it: [it["release"]] if it["release"] else []),
        ("day", lambda it: [f"{BEGAN + timedelta(days=it['at'] / DAY):%Y-%m-%d}"]),
        ("framework", lambda _: ["openai"]),
        ("tool", lambda _: []),
    ],
)
def test_figures_are_what_plain_python_computes(random_sessions, by, belongs):
    pytest.importorskip("sqlglot")
    store, plain = random_sessions
    groups = {}
    for it in plain.values():
        for name in set(belongs(it)):
            groups.setdefault(name, []).append(it)
    expected = {}
    for name, members in groups.items():
        known = [it["total"] for it in members if it["total"] is not None]
        both = [it for it in members if it["total"] is not None and it["resolved"] is not None]
        resolved = sum(it["resolved"] for it in both)
        judged = [it["resolved"] for it in members if it["resolved"] is not None]
        expected[name] = (
            fmean(known) if known else None,
            sum(it["total"] for it in both) / resolved if resolved else None,
            fmean(judged) if judged else None,
            len(judged) / len(members),
            len(members),
            max(known, default=None),
        )
    found = [
        values(store, text, by)
        for text in (
            "avg(cost)",
            "sum(cost) / sum(resolved)",
            "avg(resolved.label = 'yes')",
            "count(resolved) / count(*)",
            "count(*)",
            "max(cost)",
        )
    ]
    assert all(set(one) == set(expected) for one in found)
    for name, figure in expected.items():
        assert tuple(one[name] for one in found) == pytest.approx(figure), name
    counted = {it.group: (it.sessions, it.of) for it in figures(store, "cost", by=by).groups}
    for name, members in groups.items():
        known = sum(it["total"] is not None for it in members)
        assert counted[name] == (known, len(members))


def test_the_same_store_gives_the_same_bits(random_sessions, tmp_path):
    store, _ = random_sessions
    first = figures(store, "cost", by="user")
    assert figures(store, "cost", by="user") == first
    assert repr(first.to_data()) == repr(
        figures(store, Metric("cost", "avg(cost)"), by="user").to_data()
    )
    assert {it.group: it for it in first.groups}["user-1"] is not None


def test_each_session_is_a_group_without_an_interval(random_sessions):
    store, plain = random_sessions
    found = figures(store, "cost", by="session")
    known = [it for it in found.groups if it.value is not None]
    assert [it.value for it in known] == sorted((it.value for it in known), reverse=True)
    assert {it.group: pytest.approx(it.value) for it in known} == {
        name: it["total"] for name, it in plain.items() if it["total"] is not None
    }
    assert {it.low for it in found.groups} == {None}
    assert [it.value for it in found.groups[len(known) :]] == [None] * (60 - len(known))


def test_what_is_not_known_is_left_out_and_counted(filled):
    store = filled(session("a", cost=1.0), session("b", cost=3.0), session("c", cost=None))
    found = figures(store, "cost").overall
    assert (found.value, found.sessions, found.of) == (2.0, 2, 3)
    assert figures(store, "judged").overall.value == 0.0
    evaluations.add(store, Evaluation("outcome", label="unknown", session_id="a"))
    evaluations.add(store, Evaluation("outcome", label="yes", session_id="b"))
    found = figures(store, "judged").overall
    assert (found.value, found.sessions) == (pytest.approx(1 / 3), 3)


def test_numerator_and_denominator_speak_of_the_same_sessions(filled):
    pytest.importorskip("sqlglot")
    store = filled(*(session(f"s{it}", cost=1.0) for it in range(10)))
    evaluations.add(store, Evaluation("resolved", score=1, session_id="s0"))
    evaluations.add(store, Evaluation("resolved", score=0, session_id="s1"))
    found = figures(store, "sum(cost) / sum(resolved)").overall
    assert (found.value, found.sessions, found.of) == (2.0, 2, 10)
    assert value(store, "sum(cost) / sum(coalesce(resolved, 0))") == 10.0
    assert value(store, "avg(coalesce(resolved, 0))") == pytest.approx(0.1)


def test_of_a_name_the_scores_that_count_are_averaged_and_the_last_label_counts(filled):
    pytest.importorskip("sqlglot")
    store = filled(session("a"))
    for who, score, label in (("x", 1, "good"), ("y", 0, "bad"), ("x", 0.5, "fair")):
        it = Evaluation("help-ful", score=score, label=label, session_id="a", identifier=who)
        evaluations.add(store, it)
    assert value(store, 'avg("help-ful")') == 0.25
    assert value(store, "avg(\"help-ful\".label = 'fair')") == 1.0
    (turn,) = store.get("a").turns
    evaluations.add(
        store,
        Evaluation(
            "help-ful", score=9, session_id="a", trace_id=turn.trace_id, root_id=turn.root_id
        ),
    )
    assert value(store, 'avg("help-ful")') == 0.25  # A turn is not the session.


def test_what_an_evaluator_said_of_an_earlier_state_does_not_count(filled):
    pytest.importorskip("sqlglot")
    store = filled(session("a"))
    said = {"score": 1, "session_id": "a"}
    evaluations.add(store, Evaluation("resolved", version="1", **said))
    evaluations.add(store, Evaluation("thumbs", **said))
    assert value(store, "avg(resolved)") == value(store, "avg(thumbs)") == 1.0
    later = filled(session("a", at=DAY, models=("x", "y", "z")))
    assert value(later, "avg(resolved)") is None
    assert value(later, "avg(thumbs)") == 1.0
    evaluations.add(later, Evaluation("resolved", version="1", score=0, session_id="a"))
    assert value(later, "avg(resolved)") == 0.0


def test_friction_is_a_metric(filled):
    store = filled(session("a"), session("b", "bob", asked="You are useless, this is wrong again!"))
    found = figures(store, "friction", by="session")
    assert found.overall.sessions == found.overall.of == 2
    assert {it.group: it.value for it in found.groups} == {
        it.id: it.friction for it in store.list()
    }
    assert found.groups[0].group == "b"


def test_one_session_does_not_top_the_users(filled):
    made = [session("once", "unlucky", cost=9.0)]
    for number in range(20):
        made.append(session(f"h{number}", "heavy", cost=7.0 + number % 3))
        made += [session(f"{it}{number}", f"user-{it}", cost=1.0 + number % 4) for it in range(5)]
    found = figures(filled(*made), "cost", by="user").groups
    assert [it.group for it in found[:2]] == ["heavy", "unlucky"]
    assert (found[1].value, found[1].sessions, found[1].low) == (9.0, 1, None)
    assert found[1].value > found[0].value > found[0].shrunk > found[1].shrunk


def test_a_group_in_which_nothing_was_resolved_is_ranked(filled):
    pytest.importorskip("sqlglot")
    made = [session(f"s{user}{it}", user, cost=1.0) for user in ("ada", "bob") for it in range(12)]
    store = filled(*made)
    for it in range(12):
        evaluations.add(store, Evaluation("resolved", score=0, session_id=f"sada{it}"))
        evaluations.add(store, Evaluation("resolved", score=it % 2, session_id=f"sbob{it}"))
    ada, bob = figures(store, "sum(cost) / sum(resolved)", by="user").groups
    assert (ada.group, ada.value, bob.group, bob.value) == ("ada", None, "bob", 2.0)
    assert ada.shrunk > bob.shrunk


def test_more_can_be_better(filled):
    pytest.importorskip("sqlglot")
    store = filled(session("a", "ada"), session("b", "bob", models=("a", "b")))
    for better, worst in ((True, "ada"), (False, "bob")):
        metric = Metric("turns each", "avg(turns)", higher_is_better=better)
        assert figures(store, metric, by="user").groups[0].group == worst


def test_sessions_can_be_chosen(random_sessions):
    pytest.importorskip("sqlglot")
    store, plain = random_sessions

    def of(**filters):
        return value(store, "count(*)", filters=filters)

    assert of(user="user-1") == sum(it["user"] == "user-1" for it in plain.values())
    assert of(model="a", tag="new") == sum(
        "a" in it["models"] and "new" in it["tags"] for it in plain.values()
    )
    assert of(metadata={"release": "1.1"}) == sum(it["release"] == "1.1" for it in plain.values())
    assert of(errors=True) == sum(bool(it["error"]) for it in plain.values())
    assert (of(text="hi"), of(text="nothing"), of(text="?!")) == (60, 0, 0)
    days = sum(it["at"] >= DAY for it in plain.values())
    assert value(store, "count(*)", since=BEGAN + timedelta(hours=12)) == days
    assert value(store, "count(*)", until=BEGAN + timedelta(hours=12)) == 60 - days
    assert value(store, "count(*)", since=timedelta(minutes=1)) == 0
    for wrong in ({"since": "2h"}, {"filters": {"text": 5}}, {"filters": {"user": 5}}):
        with pytest.raises(ConfigurationError, match=" must be "):
            value(store, "count(*)", **wrong)


def test_the_columns_that_are_read_for_every_figure_can_be_asked_for(filled):
    store = filled(session("a"), session("b", at=DAY))
    assert value(store, "count(session_id)") == value(store, "count()") == 2
    assert value(store, "avg(session_id like 'a%')") == 0.5
    assert value(store, "min(first_ns)") == START
    assert value(store, "avg(turns + 0 * first_ns)") == 1


def test_nothing_in_the_store(filled):
    store = filled()
    found = figures(store, "cost", by="user")
    assert (found.overall.value, found.overall.of, found.groups) == (None, 0, ())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"metric": "cots"}, "there is no metric 'cots'; did you mean cost?"),
        ({"metric": "content"}, "; if 'content' is an evaluation, write avg(content)"),
        ({"metric": 7}, "must be a Metric"),
        ({"metric": "cost", "by": "users"}, "by='users' is no group; did you mean user?"),
        ({"metric": "cost", "by": "metadata."}, "is no group"),
        ({"metric": "cost", "filters": {"modle": "a"}}, "by 'modle'; did you mean model?"),
        ({"metric": "avg(cst)"}, "did you mean cost?\n    avg(cst)\n        ^^^"),
        ({"metric": "avg(resolvd)"}, "did you mean resolved?"),
        ({"metric": 'avg("a\'; DROP TABLE session; --")'}, "there is no column"),
    ],
)
def test_what_cannot_be_measured_is_an_error(filled, given, says):
    pytest.importorskip("sqlglot")
    store = filled(session("a"))
    evaluations.add(store, Evaluation("resolved", score=1, session_id="a"))
    with pytest.raises(MetricError) as caught:
        figures(store, **given)
    assert says in str(caught.value)


def test_names_and_labels_are_never_executed(filled):
    pytest.importorskip("sqlglot")
    name = "x'; DROP TABLE session; --"
    store = filled(session("a", name, release=name, tags=[name]))
    evaluations.add(store, Evaluation(name, score=1, label=name, session_id="a"))
    quoted = name.replace("'", "''")
    assert value(store, f"avg(\"{name}\".label = '{quoted}')") == 1.0
    for by in ("user", "tag", "metadata.release", f"metadata.{name}"):
        groups = figures(store, "cost", by=by).groups
        assert [it.group for it in groups] == ([] if by.endswith(name) else [name])
    assert len(store.list()) == 1


def test_a_session_of_an_evaluation_alone_counts_nowhere(filled):
    store = filled(session("a"))
    evaluations.add(store, Evaluation("outcome", score=1, session_id="elsewhere"))
    assert figures(store, "judged").overall.value == 0.0
