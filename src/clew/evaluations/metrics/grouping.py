"""Puts sessions into groups: by user, model, framework, tool, tag, metadata, day, or each alone."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from clew.evaluations.metrics.columns import Rows
from clew.evaluations.metrics.errors import MetricError, did_you_mean
from clew.sessions.figures import metadata_kind

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations


_KINDS = ("user", "model", "framework", "tool", "tag")
_METADATA = "metadata."
GROUPS = ("session", *_KINDS, "day", "metadata.KEY")


def check_group(by: Any) -> None:
    """Raise an error if sessions cannot be grouped by this."""
    if by is None or (isinstance(by, str) and (by in GROUPS[:-1] or _key(by))):
        return
    near = did_you_mean(by, GROUPS) if isinstance(by, str) else ""
    message = f"by={by!r:.80} is no group{near}; there are {', '.join(GROUPS)}"
    raise MetricError(message)


def groups(store: "Conversations", rows: Rows, by: str) -> dict[str, list[str]]:
    """Return the sessions of each group, by its name.

    A session counts in each group that it belongs to: if two models were called in it, in two. One
    that belongs to none is in none.
    """
    if by == "session":
        return {session: [session] for session in rows.by_session}
    found: dict[str, list[str]] = {}
    if by == "day":
        for session, nanoseconds in rows.first_ns.items():
            found.setdefault(_day(nanoseconds), []).append(session)
        return dict(sorted(found.items()))
    kind = metadata_kind(key) if (key := _key(by)) else by
    query = "SELECT value, session_id FROM session_value WHERE kind = ? ORDER BY value, session_id"
    columns = store.sql(query, (kind,)).to_columns()
    for value, session in zip(columns["value"], columns["session_id"], strict=True):
        if session in rows.by_session:
            found.setdefault(value, []).append(session)
    return found


def _key(by: str) -> str:
    return by.removeprefix(_METADATA) if by.startswith(_METADATA) else ""


def _day(nanoseconds: int) -> str:
    """Return the day on which a session began, in UTC."""
    days = nanoseconds // 86_400_000_000_000
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)
    except OverflowError:
        return "unknown"
    return f"{moment:%Y-%m-%d}"
