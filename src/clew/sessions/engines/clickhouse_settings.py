"""The settings with which ClickHouse answers as the SQL standard, and SQLite, say, and fully."""

from collections.abc import Iterable, Mapping
from typing import Any

from clew.sessions.engines.errors import EngineError

STANDARD: Mapping[str, str] = {
    # What a LEFT JOIN does not find is NULL, not '' or 0.
    "join_use_nulls": "1",
    # The sum or the greatest of nothing is NULL.
    "aggregate_functions_null_for_empty": "1",
    # In WHERE and GROUP BY a name is a column's before it is an alias of the same SELECT.
    "prefer_column_name_to_alias": "1",
    # CAST(NULL AS ...) is NULL.
    "cast_keep_nullable": "1",
    "union_default_mode": "DISTINCT",
    "except_default_mode": "DISTINCT",
    "intersect_default_mode": "DISTINCT",
    # NULL is in no list. This is the default, unless somebody has changed it.
    "transform_null_in": "0",
    # Days are those of UTC.
    "session_timezone": "UTC",
    # Whole numbers in JSON are numbers.
    "output_format_json_quote_64bit_integers": "0",
}
_OVERFLOWS = (
    "distinct_overflow_mode",
    "group_by_overflow_mode",
    "join_overflow_mode",
    "read_overflow_mode",
    "read_overflow_mode_leaf",
    "result_overflow_mode",
    "set_overflow_mode",
    "sort_overflow_mode",
    "timeout_overflow_mode",
    "timeout_overflow_mode_leaf",
    "transfer_overflow_mode",
)
COMPLETE: Mapping[str, str] = {
    # These are the defaults. Somebody may have changed them for a user, so that a question that is
    # too much, or a server that is down, makes an answer shorter, and not an error.
    **dict.fromkeys(_OVERFLOWS, "throw"),
    "skip_unavailable_shards": "0",
    "distributed_group_by_no_merge": "0",
    "distributed_product_mode": "deny",
    # What was deleted is not there, and what somebody has just added is.
    "apply_deleted_mask": "1",
    "use_query_cache": "0",
}
WRITING: Mapping[str, str] = {
    # What was inserted is there once the server says so, through a Distributed table as well.
    "distributed_foreground_insert": "1",
    "wait_for_async_insert": "1",
}
_AS_GOOD = {"distributed_product_mode": ("allow", "global")}
_NEEDED = {**STANDARD, **COMPLETE}
_LONG: Mapping[str, str] = {
    # The views are a part of each query, and a list of traces may be long.
    "max_query_size": str(16 * 1024 * 1024),
    "max_ast_elements": "1000000",
    "max_expanded_ast_elements": "2000000",
}
"""What helps with long queries, and is not needed for the others."""
WANTED = {**_NEEDED, **WRITING, **_LONG}
_TRUTHS = {"true": "1", "false": "0"}


def to_send(known: Iterable[tuple[str, Any, Any]], user: str) -> dict[str, str]:
    """Return the settings that have to be sent with each query.

    *known* are the name, the value and whether it may not be changed, from ``system.settings``. A
    release that does not know a setting has not what it sets, either. Without the settings that the
    *user* may not change, answers would be wrong: that is an error.
    """
    changed: dict[str, str] = {}
    locked: list[str] = []
    for name, value, readonly in known:
        wanted = WANTED[name]
        if _plain(value) in (wanted, *_AS_GOOD.get(name, ())):
            continue
        if not int(readonly):
            changed[name] = wanted
        elif name in _NEEDED:
            locked.append(f"{name} = {wanted!r}" if not wanted.isdigit() else f"{name} = {wanted}")
    if locked:
        message = (
            f"{user} may not change the settings without which ClickHouse answers differently from "
            "the SQL standard, or in part. Connect as a user with readonly = 2, or have an "
            f"administrator run ALTER USER ... SETTINGS {', '.join(locked)}"
        )
        raise EngineError(message)
    return changed


def _plain(value: Any) -> str:
    text = str(value)
    return _TRUTHS.get(text.lower(), text)
