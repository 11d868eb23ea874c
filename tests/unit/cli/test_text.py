"""Figures, widths and tables, as text."""

from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.cli import _figures, _terminal
from clew.cli._calls import LONGEST, arguments_of
from clew.cli._table import Column, table
from clew.core.wording import duration

TEXTS = st.text(st.sampled_from("ab é世👋\u0301 -\u200d"), max_size=60)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"),
        (0.0004, "0 ms"),
        (0.85, "850 ms"),
        (0.9996, "1.0 s"),
        (12.34, "12.3 s"),
        (59.96, "1m00s"),
        (245, "4m05s"),
        (3599.7, "1h00m"),
        (7380, "2h03m"),
        (86399.9, "1d00h"),
        (273600, "3d04h"),
        (40 * 86400, "40d00h"),
    ],
)
def test_durations(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("dollars", "shown"),
    [
        (None, "-"),
        (0, "$0.00"),
        (12.3, "$12.30"),
        (1234.5, "$1,234.50"),
        (0.0123, "$0.0123"),
        (0.000042, "$0.000042"),
        (3e-11, "$3e-11"),
    ],
)
def test_costs(dollars, shown):
    assert _figures.cost(dollars) == shown


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(seconds=5), "5 s ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=1), "2026-03-04"),
        (timedelta(days=-1), "2026-03-06"),
    ],
)
def test_moments(ago, shown):
    now = datetime(2026, 3, 5, 12, tzinfo=UTC)
    assert _figures.when(now - ago, now) == shown


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("order", 5),
        ("Grüße", 5),
        ("u\u0308", 1),
        ("世界", 4),
        ("👋 hi", 5),
        ("❤\ufe0f", 1),
        ("", 0),
    ],
)
def test_the_width_of_text(text, columns):
    assert _terminal.columns_of(text) == columns
    assert _terminal.columns_of(click.style(text, fg="red")) == columns


@given(TEXTS, st.integers(1, 20))
def test_what_is_cut_fits(text, columns):
    cut = _terminal.fit(text, columns)
    assert _terminal.columns_of(cut) <= columns
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))


@given(TEXTS, st.integers(10, 30))
def test_broken_lines_fit_and_nothing_is_lost(text, columns):
    lines = list(_terminal.wrapped(text, columns))
    assert all(_terminal.columns_of(line) <= columns for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_columns_are_left_out_where_there_is_no_room():
    columns = (Column("ID"), Column("COST", needed=1, right=True), Column("SAID", shortest=6))
    rows = [("a", "$1", "a long message of many words"), ("b", "$22", "世界世界世界")]
    assert list(table(columns, rows, None)) == [
        "\x1b[2mID  COST  SAID\x1b[0m",
        "a     $1  a long message of many words",
        "b    $22  世界世界世界",
    ]
    assert [click.unstyle(it) for it in table(columns, rows, 18)] == [
        "ID  COST  SAID",
        "a     $1  a long…",
        "b    $22  世界世…",
    ]
    assert [click.unstyle(it) for it in table(columns, rows, 10)] == [
        "ID  SAID",
        "a   a lon…",
        "b   世界…",
    ]


def test_arguments_that_are_nested_too_deeply_are_shown_as_text():
    deep = "[" * 100_000
    assert arguments_of(deep) == deep[:LONGEST]
