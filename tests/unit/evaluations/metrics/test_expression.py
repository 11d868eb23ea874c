"""Expressions: what is read, and errors that say where an expression is wrong."""

import sqlite3
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sqlglot")

from clew.evaluations.metrics.definition import _TREES, built_in
from clew.evaluations.metrics.errors import MetricError
from clew.evaluations.metrics.expression import read
from clew.evaluations.metrics.functions import compiled
from clew.evaluations.metrics.nodes import (
    Aggregate,
    Call,
    Field,
    Value,
    aggregates,
    fields,
    required,
)
from clew.evaluations.metrics.properties import is_estimate, is_share, limits


@pytest.mark.parametrize("text", _TREES)
def test_what_needs_no_sqlglot_is_what_sqlglot_would_read(text):
    assert read(text).node == _TREES[text]


def test_all_built_in_metrics_need_no_sqlglot():
    assert {it.expression for it in built_in().values()} <= set(_TREES)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("avg(cost)", Aggregate("avg", Field("cost"))),
        ("COUNT(*)", Aggregate("count", None)),
        (
            "sum(cost) / sum(resolved)",
            Call("/", (Aggregate("sum", Field("cost")), Aggregate("sum", Field("resolved")))),
        ),
        (
            "avg(\"answer-quality\".label = 'good')",
            Aggregate("avg", Call("=", (Field("answer-quality", "label"), Value("good")))),
        ),
        ("max(resolved.score)", Aggregate("max", Field("resolved", "score"))),
        ("avg(iif(errors > 0, 1, 0))", None),
        ("sum(case user_id when 'a' then cost end)", None),
        ("avg(coalesce(cost, 0)) -- what is not known is free", None),
        ("avg(turns between 1 and 3 and models like '%gpt%')", None),
    ],
)
def test_what_can_be_asked(text, node):
    found = read(text).node
    assert node is None or found == node


@pytest.mark.parametrize(
    ("text", "says", "marked"),
    [
        ("avg(", "something is missing here", "("),
        ("'abc", "cannot be read", ""),
        ("cost", "write what is asked of all: avg(cost)", "cost"),
        ("1", "a metric is one figure of many sessions", "1"),
        ("mean(cost)", "no function 'mean'; did you mean avg?", "mean(cost)"),
        ("round(avg(cost), 2)", "no function 'round'", "round(avg(cost), 2)"),
        ("load_extension('x')", "no function 'load_extension'", "load_extension('x')"),
        ("avg(cost); DROP TABLE session", "without a semicolon", ";"),
        ("DROP TABLE session", "cannot be read", "DROP"),
        ("select avg(cost)", "", ""),
        ("avg(cost) from turns", "not a statement", "avg(cost) from turns"),
        ("avg(cost) union select 1", "not a statement", "avg(cost) union select 1"),
        ("avg((select cost from sessions))", "a query is not allowed", None),
        ("avg(cost in (select 1))", "not allowed", None),
        ("avg(cost), avg(turns)", "one expression, not several", "avg(turns)"),
        ("avg(cost) as price", "leave out what follows", None),
        ("avg(sum(cost))", "sum stands within another one", "sum(cost)"),
        ("sum(cost) over ()", "not allowed", None),
        ("count(distinct user_id)", "without DISTINCT", None),
        ("avg(user_id)", "avg needs numbers", "avg(user_id)"),
        ("avg(cost + user_id)", "a text is no number", "cost + user_id"),
        ("avg(user_id = 1)", "compared with a number", "user_id = 1"),
        ("avg(cost like 'x')", "LIKE compares texts", None),
        ("avg(resolved.foo)", "has .score and .label", "resolved.foo"),
        ("avg(main.session.cost)", "name of a column", None),
        ("avg(?)", "not allowed", None),
        ("avg(1e999)", "no number", "1e999"),
        ("avg(max(1, 2, 3))", "compare two", None),
        ("", "must be a text", None),
        ("x" * 6000, "at most", None),
        ("(" * 2400 + "avg(cost)" + ")" * 2400, "parentheses", None),
    ],
)
def test_what_cannot(text, says, marked):
    with pytest.raises(MetricError) as caught:
        read(text)
    message = str(caught.value)
    assert says in message
    if marked:
        *_, line, marks = message.splitlines()
        start = marks.index("^")
        assert line[start : start + marks.count("^")] == marked


def test_the_mark_is_below_the_line_that_is_wrong():
    with pytest.raises(MetricError) as caught:
        read("avg(cost\n  + nope(turns)\n  - 1)")
    assert str(caught.value).splitlines()[-2:] == ["      + nope(turns)", "        ^^^^^^^^^^^"]


@given(st.text(max_size=60) | st.text(alphabet="avgsum(cost)*/+-,.;'\"<>= 0123\n", max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_is_an_error_that_says_so(text):
    with suppress(MetricError):  # Any other exception is a failure.
        assert aggregates(read(text).node)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("sum(cost) / sum(resolved)", {"cost", "resolved"}),
        ("count(resolved) / count(*)", set()),
        ("avg(coalesce(resolved, 0) + cost)", {"cost"}),
        ("avg(resolved is null)", set()),
        ("avg(case when resolved > 0.5 then cost end)", {"resolved", "cost"}),
    ],
)
def test_what_has_to_be_known_of_a_session(text, needed):
    assert {it.name for it in required(read(text).node)} == needed


@pytest.mark.parametrize(
    ("text", "estimate"),
    [
        ("avg(cost)", True),
        ("sum(cost) / sum(turns)", True),
        ("sum(cost) / count(*) * 100", True),
        ("1 - avg(friction)", True),
        ("coalesce(sum(cost) / nullif(sum(turns), 0), 0)", True),
        ("sum(cost)", False),
        ("count(*)", False),
        ("max(cost)", False),
        ("avg(cost) / max(cost)", False),
        ("sum(cost) + 1", False),
        ("sum(cost) * sum(turns)", False),
        ("avg(cost) > 0.5", True),
    ],
)
def test_means_and_ratios_are_estimates_and_totals_are_not(text, estimate):
    assert is_estimate(read(text).node) == estimate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("avg(friction)", (0, 1)),
        ("avg(cost)", (0, float("inf"))),
        ("avg(errors > 0)", (0, 1)),
        ("1 - avg(failure)", (0, 1)),
        ("sum(cost) / sum(turns)", (0, float("inf"))),
        ("avg(resolved.score)", (-float("inf"), float("inf"))),
        ("avg(cost) - avg(turns)", (-float("inf"), float("inf"))),
    ],
)
def test_what_a_figure_cannot_exceed(text, expected):
    assert limits(read(text).node) == expected


def test_what_is_a_share():
    assert is_share(read("avg(friction > 0.5)").node)
    assert is_share(read("avg(case when errors > 0 then 1 else 0 end)").node)
    assert is_share(read("avg(resolved.score)").node)  # If all scores are 0 or 1.
    assert not is_share(read("avg(errors)").node)


NAMES = ("cost", "turns", "errors")
NUMBERS = st.sampled_from(["0.0", "1.0", "2.5", "-3.0", "NULL", *NAMES])
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds(
            "({} {} {})".format, inner, st.sampled_from(["<", "<=", ">", ">=", "=", "<>"]), inner
        ),
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("(not {})".format, inner),
        st.builds("(- {})".format, inner),
        st.builds("abs({})".format, inner),
        st.builds("({} is null)".format, inner),
        st.builds("({} is not null)".format, inner),
        st.builds("coalesce({}, {})".format, inner, inner),
        st.builds("nullif({}, {})".format, inner, inner),
        st.builds("max({}, {})".format, inner, inner),
        st.builds("min({}, {})".format, inner, inner),
        st.builds("({} in ({}, {}))".format, inner, inner, inner),
        st.builds("({} between {} and {})".format, inner, inner, inner),
        st.builds("case when {} then {} else {} end".format, inner, inner, inner),
        st.builds("case {} when {} then {} end".format, inner, inner, inner),
        st.builds("iif({}, {}, {})".format, inner, inner, inner),
    ),
    max_leaves=8,
)
KNOWN = st.sampled_from([None, 0.0, 1.0, 2.0, -1.5])


@given(EXPRESSIONS, st.tuples(KNOWN, KNOWN, KNOWN))
@settings(max_examples=600, deadline=None)
def test_sqlite_gives_the_same_answers(text, row):
    """Numbers are REAL there, so that it divides as we do."""
    argument = read(f"count({text})").node.argument
    places = {it: NAMES.index(it.name) for it in fields(argument)}
    found = compiled(argument, places)(row)
    with sqlite3.connect(":memory:") as connection:
        values = (
            "SELECT CAST(? AS REAL) AS cost, CAST(? AS REAL) AS turns, CAST(? AS REAL) AS errors"
        )
        ((expected,),) = connection.execute(f"SELECT {text} FROM ({values})", row)
    connection.close()
    assert found == (None if expected in {float("inf"), -float("inf")} else expected)
