"""What ClickHouse would answer otherwise than SQLite, without an error, is asked otherwise."""

import pytest

pytest.importorskip("sqlglot")

from clew.sessions.engines.errors import UnsupportedError
from clew.sessions.engines.translation import translated


def selected(sql):
    text = translated(sql, (), "clickhouse", lambda _: "SELECT 1 AS trace_id").sql
    return text[text.rindex(") SELECT ") + 2 :] if sql.count("SELECT") == 1 else text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("lag(turns) OVER (ORDER BY turns)", 'lag(toNullable("sessions"."turns"))'),
        ("lead(user_id) OVER (ORDER BY turns)", 'lead(toNullable("sessions"."user_id"))'),
        ("avg(first_ns)", 'AVG(toInt128("sessions"."first_ns"))'),
        ("avg(DISTINCT first_ns)", 'AVG(DISTINCT toInt128("sessions"."first_ns"))'),
        ("avg(cost)", 'AVG("sessions"."cost")'),
        ("sum(turns)", 'accurateCast(SUM(toInt128("sessions"."turns")), \'Int64\')'),
        ("sum(cost)", 'SUM("sessions"."cost")'),
        (
            "sum(turns) OVER ()",
            'accurateCast(SUM(toInt128("sessions"."turns")) OVER (), \'Int64\')',
        ),
        (
            "first_ns * 10",
            'accurateCast(toInt128("sessions"."first_ns") * toInt128(10), \'Int64\')',
        ),
        ("cost * 10", '"sessions"."cost" * 10'),
        ("200 / -1", "intDiv(toInt64(200), nullIf(toInt64(-1), 0))"),
        ("turns & 1", 'bitAnd(toInt64("sessions"."turns"), toInt64(1))'),
        ("~turns", 'bitNot(toInt64("sessions"."turns"))'),
    ],
)
def test_a_function_is_asked_so_that_it_means_the_same(asked, said):
    found = selected(f"SELECT {asked} AS x FROM sessions")
    assert said.lower() in found.lower()  # sqlglot writes names of functions in its own way.


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("user_id IN ('a', NULL)", 'WHERE "sessions"."user_id" IN (\'a\', NULL)'),
        ("user_id NOT IN ('a')", "IN ('a')"),
        ("user_id NOT IN ('a', NULL)", '("sessions"."user_id" IN (\'a\') OR NULL)'),
        ("turns NOT IN (1, errors)", '"sessions"."turns" = "sessions"."errors" OR'),
        ("turns NOT IN (SELECT errors FROM sessions)", "THEN 0 ELSE NULL END"),
    ],
)
def test_null_in_a_list_is_not_forgotten(condition, said):
    assert said in selected(f"SELECT turns FROM sessions WHERE {condition}")


def test_several_columns_that_are_not_in_a_list_are_refused():
    sql = "SELECT 1 FROM sessions WHERE (turns, errors) {} (SELECT turns, errors FROM sessions)"
    assert selected(sql.format("IN"))
    with pytest.raises(UnsupportedError, match="NOT IN, and IN as a value, of several columns"):
        selected(sql.format("NOT IN"))


def test_how_many_rows_are_wanted_is_no_sum_to_check():
    assert selected("SELECT turns FROM sessions LIMIT 1 + 1").endswith("LIMIT 1 + 1")
