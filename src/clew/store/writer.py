"""Writes spans to the store, each once, however often it is given."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from clew.store.columns import COLUMNS, split
from clew.store.database import transaction
from clew.store.encoding import attributes_to_json, is_utf8, tagged, to_json
from clew.store.record import Attributes, Resource, Scope, SpanRecord

_NAMES = (
    "resource_id",
    "scope_id",
    "trace_id",
    "span_id",
    "parent_id",
    "name",
    "kind",
    "start_ns",
    "end_ns",
    "status",
    "status_message",
    "flags",
    "attributes",
    "details",
    *(column.name for column in COLUMNS),
)
_INSERT = (
    f"INSERT INTO span ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))}) "
    "ON CONFLICT (trace_id, span_id) DO NOTHING"
)
_MIN_TIME, _MAX_TIME = -(2**63), 2**63 - 1


class Writer:
    """Writes spans through one connection, and knows the resources that it has written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._ids: dict[tuple[str, str], int] = {}
        """The row ids of resources and scopes, by their table and content."""
        self._contents: dict[int, tuple[object, str]] = {}
        """Resources and scopes that were seen last, as JSON, by the identity of the object."""

    def add(self, records: Sequence[SpanRecord]) -> int:
        """Write *records* in one transaction, and return how many of them are new."""
        if not records:
            return 0
        values = list(map(_values, records))  # Before others have to wait for this transaction.
        resources = {id(it.resource): it.resource for it in records}
        scopes = {id(it.scope): it.scope for it in records}
        try:
            with transaction(self.connection):
                resource_ids = self._row_ids("resource", resources)
                scope_ids = self._row_ids("scope", scopes)
                rows = [
                    (resource_ids[id(it.resource)], scope_ids[id(it.scope)], *rest)
                    for it, rest in zip(records, values, strict=True)
                ]
                before = self.connection.total_changes
                self.connection.executemany(_INSERT, rows)
                return self.connection.total_changes - before
        except BaseException:
            self._ids.clear()  # Some may have been written in what was undone.
            raise

    def _row_ids(self, table: str, things: Mapping[int, Resource | Scope]) -> dict[int, int]:
        """Give every one of *things* a row in *table*; return their row ids, by the same keys."""
        found: dict[int, int] = {}
        for key, thing in things.items():
            content = self._content(thing)
            if (table, content) not in self._ids:
                select = f"SELECT id FROM {table} WHERE content = ?"
                row = self.connection.execute(select, (content,)).fetchone()
                if row is None:
                    insert = f"INSERT INTO {table} (content) VALUES (?) RETURNING id"
                    row = self.connection.execute(insert, (content,)).fetchone()
                self._ids[table, content] = row[0]
            found[key] = self._ids[table, content]
        return found

    def _content(self, thing: Resource | Scope) -> str:
        known = self._contents.get(id(thing))
        if known is not None and known[0] is thing:
            return known[1]
        if len(self._contents) > 1000:  # noqa: PLR2004 - enough for all instrumentors
            self._contents.clear()
        content = _resource(thing) if isinstance(thing, Resource) else _scope(thing)
        self._contents[id(thing)] = thing, content
        return content


def _values(record: SpanRecord) -> tuple[Any, ...]:
    """Return the values of a span's row, but for the first two."""
    values, rest = split(record.attributes)
    name, start, end, message = record.name, record.start, record.end, record.status_message
    details = _details(record)
    if details is not None:  # What a column cannot take is there.
        name, message = _storable(name), _storable(message)
    if not _are_storable(start, end):
        start, end = _storable_time(start), _storable_time(end)
    return (
        record.trace_id,
        record.span_id,
        record.parent_id,
        name,
        record.kind,
        start,
        end,
        record.status,
        message or None,
        record.flags,
        attributes_to_json(rest),
        details,
        *values,
    )


def _resource(resource: Resource) -> str:
    return to_json(
        _without_empty(
            attributes=_sorted(resource.attributes),
            schema_url=resource.schema_url,
            dropped_attributes=resource.dropped_attributes,
        )
    )


def _scope(scope: Scope) -> str:
    return to_json(
        _without_empty(
            name=scope.name,
            version=scope.version,
            attributes=_sorted(scope.attributes or {}),
            schema_url=scope.schema_url,
            dropped_attributes=scope.dropped_attributes,
        )
    )


def _sorted(attributes: Attributes) -> dict[str, Any]:
    return dict(sorted(tagged(attributes).items()))


def _details(record: SpanRecord) -> str | None:
    """Return what is rarely there, as JSON; None if nothing of it is."""
    if (
        not (record.events or record.links or record.trace_state)
        and not (record.dropped_attributes or record.dropped_events or record.dropped_links)
        and is_utf8(record.name)
        and is_utf8(record.status_message)
    ):
        return None
    details = _without_empty(
        events=[
            [event.name, event.time, tagged(event.attributes), event.dropped_attributes]
            for event in record.events
        ],
        links=[
            [
                link.trace_id.hex(),
                link.span_id.hex(),
                tagged(link.attributes),
                link.trace_state,
                link.flags,
                link.dropped_attributes,
            ]
            for link in record.links
        ],
        trace_state=record.trace_state,
        dropped=[record.dropped_attributes, record.dropped_events, record.dropped_links]
        if record.dropped_attributes or record.dropped_events or record.dropped_links
        else None,
        # What a column cannot take.
        name=None if is_utf8(record.name) else record.name,
        status_message=None if is_utf8(record.status_message) else record.status_message,
    )
    return to_json(details) if details else None


def _without_empty(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _are_storable(start: int, end: int) -> bool:
    return _MIN_TIME <= start <= _MAX_TIME and _MIN_TIME <= end <= _MAX_TIME


def _storable_time(time: int) -> int:
    return max(_MIN_TIME, min(time, _MAX_TIME))


def _storable(text: str) -> str:
    return text if is_utf8(text) else text.encode("utf-8", "replace").decode()
