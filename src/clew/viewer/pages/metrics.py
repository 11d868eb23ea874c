"""The metrics: one figure of many sessions, over days, and for each user, model or release.

They are counted by the functions that the commands and programs use, so that all show the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from clew.core.errors import ConfigurationError
from clew.evaluations.metrics import Figure, Figures, Metric, MetricError, figures, metrics
from clew.evaluations.metrics.columns import FILTERS
from clew.evaluations.metrics.definition import built_in
from clew.viewer.filters import ORDERS, SINCE, Filters
from clew.viewer.pages.sessions import metadata_names
from clew.viewer.pictures import Point, course
from clew.viewer.readers import Reader, readers_of
from clew.viewer.rendering import href, page
from clew.viewer.wording import measured

GROUPS = {
    "user": "User",
    "model": "Model",
    "framework": "Framework",
    "tool": "Tool",
    "tag": "Tag",
    "day": "Day",
}
_METADATA = "metadata."
_MOST_DAYS = 90
_MOST_GROUPS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """A group of sessions with its figure."""

    figure: Figure
    href: str
    """The sessions behind it."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted for the page."""

    groups: Figures
    days: Figures
    metadata: Sequence[str]
    not_scored: int


def metrics_page(request: Request) -> Response:
    """Answer a request to the page of the metrics."""
    filters = Filters.parse(request.query_params)
    text = request.query_params.get("metric", "").strip() or "friction"
    by = request.query_params.get("by", "").strip() or "user"
    known, problem = configured()
    values: dict[str, Any] = {
        "filters": filters,
        "metric": text,
        "by": by,
        "known": known,
        "chosen": known.get(text),
        "times": SINCE,
        "groups": GROUPS,
        "problem": problem,
        "kept": kept(filters),
    }
    try:
        metric = known.get(text) or Metric(text, text)
        key = ("metrics", metric.name, metric.expression, metric.higher_is_better, by)
        answer = readers_of(request).answer(
            (*key, filters.query()), partial(_counted, metric, by, filters)
        )
    except MetricError as error:
        values |= {"problem": str(error), "found": None, "metadata": ()}
        return page(request, "metrics.html", status=400, **values)
    found: Counted = answer.value
    points, names, later = _points(found.days)
    return page(
        request,
        "metrics.html",
        **values,
        age=answer.age,
        found=found,
        metadata=found.metadata,
        overall=found.groups.overall,
        rows=[Row(it, sessions_href(filters, text, by, it.group)) for it in _first(found.groups)],
        more=max(0, len(found.groups.groups) - _MOST_GROUPS),
        picture=course(points, kind="annoyed" if text == "friction" else "good"),
        days=[(name, it) for name, it in names if it is not None],
        first_day=names[0][0] if names else "",
        last_day=names[-1][0] if names else "",
        later=later,
        compare=""
        if by == "day"
        else href("/differences", by=by, **{name: it for name, it in kept(filters) if it}),
        tabs=[
            (name, href("/metrics", metric=name, by=by, **dict(kept(filters))), name == text)
            for name in known
        ],
    )


def configured() -> tuple[Mapping[str, Metric], str]:
    """Return the metrics, and what is wrong with those of the project, if anything is."""
    try:
        return metrics(), ""
    except (MetricError, ConfigurationError) as error:
        return built_in(), str(error)


def kept(filters: Filters) -> list[tuple[str, str]]:
    """Return the names and values of the filters that are set, for forms to keep them."""
    names = (*FILTERS, "since", "until")
    return [(name, value) for name in names if (value := getattr(filters, name))]


def asked(filters: Filters) -> dict[str, Any]:
    """Return the filters as the functions of the metrics take them."""
    given = filters.for_store()
    chosen = {name: given[name] for name in FILTERS}
    return {"since": given["since"], "until": given["until"], "filters": chosen}


def sessions_href(filters: Filters, metric: str, by: str, group: str | None) -> str:
    """Return the address of the sessions behind a figure, the highest first where that is known."""
    order: Any = metric if metric in ORDERS else "last"
    changed: dict[str, Any] = {"order": order}
    if group is None:
        pass
    elif by == "day":
        try:
            following = date.fromisoformat(group) + timedelta(days=1)
        except (ValueError, OverflowError):
            return filters.href(**changed)
        changed |= {"since": f"{group}T00:00:00Z", "until": f"{following}T00:00:00Z"}
    elif by == "session":
        return href("/session", id=group)
    elif by.startswith(_METADATA):
        changed["metadata"] = f"{by.removeprefix(_METADATA)}={group}"
    else:
        changed[by] = group
    return filters.href(**changed)


def not_scored(reader: Reader) -> int:
    """Return of how many sessions friction and failure are not known yet."""
    return int(reader.rows("SELECT count(*) AS number FROM session WHERE scored = 0")[0]["number"])


def _counted(metric: Metric, by: str, filters: Filters, reader: Reader) -> Counted:
    chosen = asked(filters)
    groups = figures(reader.sessions, metric, by=by, **chosen)
    days = groups if by == "day" else figures(reader.sessions, metric, by="day", **chosen)
    return Counted(groups, days, metadata_names(reader), not_scored(reader))


def _first(found: Figures) -> Sequence[Figure]:
    if found.by == "day":
        return found.groups[: -_MOST_GROUPS - 1 : -1]
    return found.groups[:_MOST_GROUPS]


def _points(found: Figures) -> tuple[list[Point], list[tuple[str, Figure | None]], int]:
    """Return what is drawn for each day up to the last one, and the figures by their day.

    Days in the future are left out, where there are others: a clock was wrong. The third is how
    many sessions they have.
    """
    by_day: dict[date, Figure] = {}
    for it in found.groups:
        try:
            by_day[date.fromisoformat(it.group or "")] = it
        except ValueError:  # A time that no calendar has.
            continue
    if not by_day:
        return [], [], 0
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    last = max((day for day in by_day if day <= tomorrow), default=max(by_day))
    number = min(_MOST_DAYS, (last - min(by_day)).days + 1)
    days = [last - timedelta(days=back) for back in reversed(range(number))]
    names = [(f"{day:%Y-%m-%d}", by_day.get(day)) for day in days]
    later = sum(it.of for day, it in by_day.items() if day > last)
    return [_point(name, it) for name, it in names], names, later


def _point(name: str, it: Figure | None) -> Point:
    if it is None:
        return Point(None, None, None, f"{name}: no session")
    lies = "" if it.low is None else f", {measured(it.low)} to {measured(it.high)}"
    label = f"{name}: {measured(it.value)}{lies}, {it.sessions} of {it.of} sessions"
    return Point(it.value, it.low, it.high, label)
