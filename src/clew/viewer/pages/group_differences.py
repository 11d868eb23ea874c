"""What got better or worse between two groups of sessions, such as two releases or two models."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from clew.evaluations.metrics import Comparison, MetricError
from clew.evaluations.metrics import compare as compared
from clew.evaluations.metrics.grouping import check_group
from clew.viewer.filters import SINCE, Filters
from clew.viewer.pages.metrics import GROUPS, asked, configured, kept, not_scored, sessions_href
from clew.viewer.pages.sessions import metadata_names
from clew.viewer.readers import Reader, readers_of
from clew.viewer.rendering import href, page


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted for the page."""

    comparison: Comparison | None
    problem: str
    metadata: Sequence[str]
    not_scored: int
    is_wrong: bool = False
    """Whether what was asked names something that is not there."""


def differences(request: Request) -> Response:
    """Answer a request to the differences between two groups of sessions."""
    query = request.query_params
    filters = Filters.parse(query)
    by, a, b = (query.get(name, "").strip() for name in ("by", "a", "b"))
    key = ("differences", by, a, b, filters.query())
    _, problem = configured()
    answer = readers_of(request).answer(key, partial(_counted, by, a, b, filters))
    found: Counted = answer.value
    comparison = found.comparison
    values: dict[str, Any] = {}
    if comparison is not None:
        values = {
            "swapped": href(
                "/differences", **dict(kept(filters)), by=by, a=comparison.b, b=comparison.a
            ),
            "behind_a": sessions_href(filters, "", comparison.by, comparison.a),
            "behind_b": sessions_href(filters, "", comparison.by, comparison.b),
        }
    return page(
        request,
        "differences.html",
        status=400 if found.is_wrong else 200,
        filters=filters,
        by=by,
        a=comparison.a if comparison else a,
        b=comparison.b if comparison else b,
        age=answer.age,
        found=found,
        comparison=comparison,
        problem=(found.problem if by else "") or problem,
        metadata=found.metadata,
        groups={name: label for name, label in GROUPS.items() if name != "day"},
        times=SINCE,
        kept=kept(filters),
        **values,
    )


def _counted(by: str, a: str, b: str, filters: Filters, reader: Reader) -> Counted:
    about = metadata_names(reader), not_scored(reader)
    if not by:
        return Counted(None, "", *about)
    is_group = False
    try:
        check_group(by)
        is_group = True
        found = compared(reader.sessions, by, a or None, b or None, **asked(filters))
    except MetricError as error:
        return Counted(None, str(error), *about, is_wrong=not is_group or bool(a or b))
    return Counted(found, "", *about)
