"""Filters: which sessions are shown, and in which order, as the address of the page says it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, get_args
from urllib.parse import urlencode

from clew.core.errors import ConfigurationError
from clew.sessions.listing import Order, Rated

ORDERS: Mapping[str, str] = {
    "last": "Newest",
    "duration": "Longest",
    "turns": "Most turns",
    "cost": "Most expensive",
    "errors": "Most errors",
    "worst": "Worst",
    "friction": "Most friction",
    "failure": "Most failure",
    "latency": "Slowest",
    "tokens": "Most tokens",
    "first": "Started last",
}
"""What the orders are called on the page."""
SINCE: Mapping[str, str] = {
    "": "Any time",
    "1h": "Last hour",
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
}
RATED: Mapping[str, str] = {
    "": "Rated or not",
    "bad": "Rated bad",
    "good": "Rated good",
    "any": "Rated or noted",
}
_UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(rf"(\d{{1,6}})\s*({'|'.join(_UNITS)})")
NAMES = (
    "text", "user", "model", "framework", "tool", "tag", "metadata", "since", "until", "errors",
    "rated",
)  # fmt: skip
_TYPED = {"text", "metadata", "since", "until"}


@dataclass(frozen=True, slots=True)
class Filters:
    """Which sessions are wanted."""

    order: Order = "last"
    ascending: bool = False
    text: str = ""
    user: str = ""
    model: str = ""
    framework: str = ""
    tool: str = ""
    tag: str = ""
    metadata: str = ""
    """A name and a value, as in ``release=1.2``."""
    since: str = ""
    until: str = ""
    errors: str = ""
    """``yes``, ``no``, or empty for both."""
    rated: str = ""
    """``good``, ``bad``, ``any``, or empty."""

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "Filters":
        """Return the filters in the query of an address; raise an error if one is wrong."""
        # Ids and names are compared as they are, with the spaces at their ends.
        values: dict[str, Any] = {
            name: given.strip() if name in _TYPED or not given.strip() else given
            for name in NAMES
            for given in (query.get(name, ""),)
        }
        order = query.get("order") or "last"
        if order not in get_args(Order):
            message = f"order={order[:40]!r} is not known; there are {', '.join(get_args(Order))}"
            raise ConfigurationError(message)
        if values["errors"] not in {"", "yes", "no"}:
            message = f"errors={values['errors'][:40]!r} is not known; it is yes or no"
            raise ConfigurationError(message)
        if values["rated"] not in RATED:
            message = (
                f"rated={values['rated'][:40]!r} is not known; it is {', '.join(get_args(Rated))}"
            )
            raise ConfigurationError(message)
        for name in ("since", "until"):
            _moment(name, values[name])
        _pair(values["metadata"])
        return cls(order=order, ascending=query.get("direction") == "up", **values)  # type: ignore[arg-type] # it has been looked up

    def for_store(self) -> dict[str, Any]:
        """Return the arguments for `SessionStore.list`."""
        equal = ("text", "user", "model", "framework", "tool", "tag")
        return {
            "order_by": self.order,
            "ascending": self.ascending,
            **{name: getattr(self, name) or None for name in equal},
            "metadata": _pair(self.metadata),
            "since": _moment("since", self.since),
            "until": _moment("until", self.until),
            "errors": {"yes": True, "no": False}.get(self.errors),
            "rated": self.rated or None,
        }

    def query(self, **changed: Any) -> str:
        """Return the address's query with these filters and what is *changed*; empty for none."""
        new = replace(self, **changed)
        pairs = {name: value for name in NAMES if (value := getattr(new, name))}
        if new.order != "last":
            pairs["order"] = new.order
        if new.ascending:
            pairs["direction"] = "up"
        return urlencode(pairs)

    def href(self, after: str = "", **changed: Any) -> str:
        """Return the address of the list with these filters and what is *changed*."""
        query = self.query(**changed)
        if after:
            query += f"{'&' if query else ''}{urlencode({'after': after})}"
        return f"/?{query}" if query else "/"

    @property
    def active(self) -> list[tuple[str, str]]:
        """The filters that are set, by what they are called, and the address without each."""
        shown = []
        for name in NAMES:
            if value := getattr(self, name):
                label = f"{name}: {value}"
                if name == "errors":
                    label = "with errors" if value == "yes" else "without errors"
                elif name == "since":
                    label = SINCE.get(value, label)
                elif name == "rated":
                    label = RATED[value].lower()
                shown.append((label, self.href(**{name: ""})))
        return shown


def _pair(text: str) -> dict[str, str] | None:
    if not text:
        return None
    name, equals, value = text.partition("=")
    if not name.strip() or not equals:
        message = f"metadata={text[:40]!r} is no name and value; write release=1.2"
        raise ConfigurationError(message)
    return {name.strip(): value.strip()}


def _moment(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        if ago := _AGO.fullmatch(text.lower()):
            return datetime.now().astimezone() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        message = f"{name}={text[:40]!r} is no time; write 30m, 24h or 7d (ago), or 2026-01-31"
        raise ConfigurationError(message) from None
