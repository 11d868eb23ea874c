"""Limits: what passes, what fails, what is missing; and the files that say so."""

from xml.etree import ElementTree as ET

import pytest

from clew import evaluations
from clew.core.errors import ClewError
from clew.evaluations import Evaluation
from clew.evaluations.metrics import MetricError, check
from clew.evaluations.metrics.checking import limit_of, limits
from clew.evaluations.metrics.reports import junit, markdown, to_data
from tests.unit.evaluations.metrics.making import session

ANGRY = "No! This is wrong again, you are useless. I want to talk to a human."


def checked(store, *given, each=()):
    return check(store, [*map(limit_of, given), *(limit_of(it, each=True) for it in each)])


def outcomes(found):
    return [it.outcome for it in found.results]


@pytest.mark.parametrize(
    ("text", "outcome", "code"),
    [
        ("cost < 0.1", "passed", 0),
        ("mean cost <= 0.002", "passed", 0),
        ("cost<.002", "failed", 1),
        ("cost >= 1e-1", "failed", 1),
        ("turns > 50%", "passed", 0),
    ],
)
def test_a_limit_of_all_sessions(filled, text, outcome, code):
    found = checked(filled(session("a", cost=0.001), session("b", cost=0.003)), text)
    assert (outcomes(found), found.exit_code) == ([outcome], code)


def test_a_limit_of_each_session_names_those_beyond_it(filled):
    made = [session(f"s{it}", cost=it / 100) for it in range(1, 5)]
    found = checked(filled(*made), each=["cost <= 0.02", "cost >= 0.01"])
    first, second = found.results
    assert (first.outcome, first.beyond, found.exit_code) == ("failed", 2, 1)
    assert [(it.session, it.value) for it in first.named] == [("s4", 0.04), ("s3", 0.03)]
    assert (second.outcome, second.named) == ("passed", ())


def test_of_a_mean_only_those_beyond_it_are_to_blame_and_of_a_sum_all(filled):
    store = filled(*(session(f"s{it}", cost=it / 100) for it in range(1, 5)))
    (mean,) = checked(store, "cost < 0.02").results
    assert (mean.outcome, [it.session for it in mean.named]) == ("failed", ["s4", "s3", "s2"])
    (least,) = checked(store, "cost > 0.03").results
    assert (least.outcome, [it.session for it in least.named]) == ("failed", ["s1", "s2", "s3"])
    pytest.importorskip("sqlglot")
    (total,) = checked(store, "sum(cost) < 0.09").results
    assert [it.session for it in total.named] == ["s4", "s3", "s2", "s1"]


def test_the_turn_and_the_words_are_named(filled):
    store = filled(session("fine"), session("bad", "bob", asked=ANGRY))
    bad = store.get("bad")
    assert bad.first_bad_turn is not None
    found = checked(store, f"friction < {bad.friction / 10}", each=["friction < 0.3"])
    for result in found.results:
        it = result.named[0]
        assert (it.session, it.turn, it.kind) == ("bad", 1, bad.first_bad_turn.kind)
        assert it.words == bad.first_bad_turn.words
    text = junit(found) + markdown(found)
    assert text.count("session bad: ") >= 3
    assert "turn 1" in text


def test_a_missing_figure_is_not_a_pass(filled):
    store = filled(session("a", cost=None), session("b", cost=0.01))
    found = checked(store, "cost < 1", each=["cost < 1"])
    assert (outcomes(found), found.exit_code) == (["passed", "missing"], 2)
    assert found.results[1].unknown == 1
    evaluations.add(store, Evaluation("resolved", label="unknown", session_id="a"))
    pytest.importorskip("sqlglot")
    assert outcomes(checked(store, "avg(resolved) > 0")) == ["missing"]


def test_a_failure_counts_more_than_what_is_missing(filled):
    store = filled(session("a", cost=None), session("b", cost=0.01))
    assert checked(store, "cost < 0.001", each=["cost < 1"]).exit_code == 1


def test_nothing_to_check_is_not_a_pass(filled):
    found = checked(filled(), "cost < 1")
    assert (outcomes(found), found.sessions, found.exit_code) == (["missing"], 0, 2)
    pytest.importorskip("sqlglot")
    found = checked(filled(), "count(*) < 1")
    assert (found.sessions, found.exit_code) == (0, 2)
    assert ET.fromstring(junit(found)).find("testsuite/testcase/error") is not None


def test_limits_of_a_project(filled, tmp_path):
    pytest.importorskip("sqlglot")
    path = tmp_path / "limits.toml"
    path.write_text("""
[tool.clew.metrics]
expensive = "avg(cost > 0.01)"
[tool.clew.check]
"mean cost" = "< 0.1"
expensive = "<= 10%"
"max(turns)" = "< 3"
[tool.clew.check.sessions]
cost = "< 0.05"
""")
    assert list(map(str, limits(path))) == [
        "cost < 0.1",
        "expensive <= 0.1",
        "max(turns) < 3",
        "cost of each session < 0.05",
    ]
    assert check(filled(session("a", cost=0.001)), config=path).exit_code == 0


def test_a_metric_of_the_project_may_have_a_name_that_begins_with_mean(filled, tmp_path):
    pytest.importorskip("sqlglot")
    path = tmp_path / "limits.toml"
    path.write_text("""
[tool.clew.metrics]
"mean cost" = "avg(cost) * 1000"
[tool.clew.check]
"mean cost" = "< 0.1"
""")
    (configured,) = limits(path)
    given = limit_of("mean cost < 0.1", path)
    assert configured.metric == given.metric
    assert given.metric.expression == "avg(cost) * 1000"
    assert limit_of("mean turns < 3", path).metric.name == "turns"
    found = check(filled(session("a", cost=0.001)), config=path)
    assert (found.exit_code, found.results[0].figure.value) == (1, 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.clew.check]\ncost = 0.3", 'write for example cost = "< 0.3"'),
        ("[tool.clew.check]\ncost = '= 0.3'", "is no limit"),
        ("[tool.clew.check]\ncost = '< nan'", "is no limit"),
        ("[tool.clew.check]\ncots = '< 1'", "no metric 'cots'; did you mean cost"),
        ("[tool.clew.check]\nsessions = '< 1'", "sessions must be a table"),
        ("[tool.clew.check]\n", "there is no limit to check"),
        ("[tool.clew.checks]\n", "'checks', which is not known; did you mean check?"),
        ("", r"limits\.toml has no table \[tool\.clew\]"),
    ],
)
def test_a_wrong_configuration_is_an_error(filled, tmp_path, text, says):
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(ClewError, match=says):
        check(filled(session("a")), config=path)


@pytest.mark.parametrize("text", ["cost", "cost = 1", "< 1", "cost < x", ""])
def test_a_wrong_limit_is_an_error(text):
    with pytest.raises(MetricError):
        limit_of(text)


@pytest.mark.parametrize("text", ["cost < 1e999", "cost > -1e400%"])
def test_a_limit_that_every_figure_would_keep_is_an_error(text):
    with pytest.raises(MetricError, match=r"e\d+ is too great for a limit"):
        limit_of(text)


def test_that_only_turns_were_judged_is_said(filled):
    pytest.importorskip("sqlglot")
    store = filled(session("a"), session("b"))
    turn = store.get("a").turns[0]
    said = Evaluation("close", score=0.9, session_id="a", trace_id=turn.trace_id)
    evaluations.add(store, said)
    limit = "avg(close) >= 0.5"
    found = checked(store, limit, each=[limit])
    assert outcomes(found) == ["missing", "missing"]
    for it in found.results:
        assert "('close': said of turns or calls, not of sessions)" in it.message
    evaluations.add(store, Evaluation("close", score=0.9, session_id="a"))
    for it in checked(store, limit, each=[limit]).results:
        assert "said of turns" not in it.message


def test_junit_is_valid_whatever_was_said(filled):
    name = 'a<b>&"c\x01\x1b[2J\ud800'.encode("utf-8", "replace").decode()
    found = checked(filled(session(name, asked=ANGRY)), "cost < 0.0001", "cost < 1", "judged > 2")
    root = ET.fromstring(junit(found))
    assert root.tag == "testsuites"
    for it in (root, root.find("testsuite")):
        assert (it.get("tests"), it.get("failures"), it.get("errors")) == ("3", "2", "0")
    cases = root.findall("testsuite/testcase")
    assert [it.get("name") for it in cases] == ["cost < 0.0001", "cost < 1", "judged > 2"]
    assert {it.get("classname") for it in cases} == {"clew.check.metrics"}
    assert [[one.tag for one in it] for it in cases] == [["failure"], [], ["failure"]]
    assert 'a<b>&"c\\u0001\\u001b[2J' in cases[0].find("failure").text


def test_markdown_shows_what_was_said_as_it_was(filled):
    found = checked(filled(session("a|b`<script>", asked=ANGRY)), "cost < 0.0001")
    text = markdown(found)
    assert text.splitlines()[2].startswith("| ❌ failed | cost \\< 0.0001 | 0.0021 | 1 of 1 |")
    assert "a\\|b\\`\\<script\\>" in text
    assert to_data(found)["results"][0]["sessions"][0]["session"] == "a|b`<script>"
