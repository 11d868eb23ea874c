"""Filters and the address of the page say the same."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from clew.core.errors import ConfigurationError
from clew.viewer.filters import NAMES, Filters

FULL = {name: f"{name} & <x>?#" for name in NAMES} | {
    "metadata": "release & <x>=1.2=3?#",
    "since": "7d",
    "until": "2026-01-31T12:00:00+00:00",
    "errors": "yes",
    "rated": "bad",
}


def test_an_address_comes_back_as_it_was():
    filters = Filters.parse({**FULL, "order": "cost", "direction": "up"})
    again = dict(parse_qsl(urlsplit(filters.href()).query))
    assert Filters.parse(again) == filters
    assert again == {**FULL, "order": "cost", "direction": "up"}


def test_no_filters_are_the_plain_address():
    assert Filters.parse({}).href() == "/"
    assert Filters.parse({"user": "  ", "order": "last"}).href() == "/"


def test_the_store_is_asked_for_what_the_address_says():
    asked = Filters.parse({"user": "ada", "errors": "no", "order": "latency"}).for_store()
    assert asked["user"] == "ada"
    assert asked["rated"] is None
    assert Filters.parse({"rated": "good"}).for_store()["rated"] == "good"
    assert Filters.parse({"rated": "any"}).active == [("rated or noted", "/")]
    assert asked["errors"] is False
    assert asked["order_by"] == "latency"
    assert asked["model"] is None
    assert asked["metadata"] is None
    asked = Filters.parse({"metadata": "release = 1=2", "order": "worst"}).for_store()
    assert asked["metadata"] == {"release": "1=2"}
    assert asked["order_by"] == "worst"


def test_times_are_ago_or_dates():
    asked = Filters.parse({"since": "24h", "until": "2026-01-31T00:00:00+00:00"}).for_store()
    day_ago = datetime.now(UTC) - timedelta(days=1)
    assert abs(asked["since"] - day_ago) < timedelta(minutes=1)
    assert asked["until"] == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "query",
    [
        {"order": "name; DROP TABLE session"},
        {"errors": "perhaps"},
        {"rated": "worst"},
        {"since": "yesterday"},
        {"since": "999999w"},
        {"until": "2026-99-99"},
        {"metadata": "release"},
        {"metadata": "=1.2"},
    ],
)
def test_what_cannot_be_understood_is_named(query):
    ((name, value),) = query.items()
    with pytest.raises(ConfigurationError, match=name) as raised:
        Filters.parse(query)
    assert value[:20] in str(raised.value)


def test_each_filter_can_be_removed():
    filters = Filters.parse({"user": "ada", "model": "gpt", "order": "cost"})
    assert dict(filters.active) == {
        "user: ada": "/?model=gpt&order=cost",
        "model: gpt": "/?user=ada&order=cost",
    }


def test_names_keep_the_spaces_at_their_ends():
    filters = Filters.parse({"user": " ada ", "tool": "find ", "text": " order ", "since": " 7d "})
    assert (filters.user, filters.tool, filters.text, filters.since) == (
        " ada ",
        "find ",
        "order",
        "7d",
    )
    assert filters.href() == "/?text=order&user=+ada+&tool=find+&since=7d"
