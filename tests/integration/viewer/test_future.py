"""Spans of a clock that was wrong do not hide what there is of other days."""

import re
import time
from datetime import UTC, datetime

import pytest

for _needed in ("starlette", "jinja2", "markdown_it", "nh3", "sqlglot"):
    pytest.importorskip(_needed)

from tests.integration.viewer.test_insight import text_of
from tests.support.conversation_spans import SECOND, turn

FAR = 7_240_000_000 * SECOND
"""In 2199."""


@pytest.fixture
def today(write):
    """A session of an hour ago, and two of a clock that was wrong; return the day of the first."""
    start = time.time_ns() - 3600 * SECOND
    write(turn("now", start=start))
    for number in (1, 2):
        write(turn(f"far{number}", number=number, start=FAR + number * SECOND))
    return datetime.fromtimestamp(start / SECOND, UTC)


def test_the_overview_ends_today(ask, today):
    html = ask.get("/overview?days=7").text
    assert re.search(rf"<th scope=\"row\">{today:%a %d %b %Y}</th><td[^>]*>1</td>", html)
    assert "2199" not in html
    assert "2 sessions began after the last day that is shown" in text_of(html)
    assert "Sessions 1 " in text_of(html).partition("p95")[0]


def test_the_days_of_a_metric_end_today(ask, today):
    html = ask.get("/metrics?metric=cost").text
    picture = html.partition("Over days")[2].partition("</figure>")[0]
    assert f"{today:%Y-%m-%d}" in picture
    assert "2199" not in picture
    assert "2 sessions began after the last day that is shown" in text_of(picture)


def test_where_all_days_are_in_the_future_they_are_shown(ask, write):
    write(turn("far", start=FAR))
    for address in ("/overview?days=7", "/metrics?metric=cost"):
        html = ask.get(address).text
        assert "2199" in html, address
        assert "began after" not in html, address
