"""Rows of the table `otel_traces`, as the Collector's ClickHouse exporter writes them.

Every value of an attribute becomes text: ``12``, ``true``, JSON for a list, base64 for bytes.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite, isnan
from typing import Any

from clew.sessions.json_values import storable
from clew.store.otlp.limits import INT64
from clew.store.record import KINDS, Attributes, SpanRecord

_ESCAPED = {ord(it): f"\\u{ord(it):04x}" for it in "<>&\u2028\u2029"}
"""What Go's JSON does not write as it is, because it might be shown in a page."""
_STATUSES = ("Unset", "Ok", "Error")
_SMALL, _GREAT = 1e-6, 1e21
"""Go writes numbers without an exponent between these."""


def row_of(span: SpanRecord, *, with_types: bool = False) -> dict[str, Any]:
    """Return the row of a span by its columns; times are nanoseconds since 1970.

    *with_types*: for a table whose attributes are JSON, which keeps numbers, truths and lists.
    """
    attributes = _kept if with_types else texts
    service = span.resource.attributes.get("service.name")
    return {
        "Timestamp": span.start,
        "TraceId": span.trace_id.hex(),
        "SpanId": span.span_id.hex(),
        "ParentSpanId": span.parent_id.hex() if span.parent_id else "",
        "TraceState": storable(span.trace_state),
        "SpanName": storable(span.name),
        "SpanKind": KINDS[span.kind].capitalize() if span.kind < len(KINDS) else "",
        "ServiceName": storable(service) if isinstance(service, str) else "",
        "ResourceAttributes": attributes(span.resource.attributes),
        "ScopeName": storable(span.scope.name),
        "ScopeVersion": storable(span.scope.version),
        "SpanAttributes": attributes(span.attributes),
        "Duration": max(0, span.end - span.start),
        "StatusCode": _STATUSES[span.status] if span.status < len(_STATUSES) else "",
        "StatusMessage": storable(span.status_message),
        "Events.Timestamp": [min(it.time, INT64[-1]) for it in span.events],
        "Events.Name": [storable(it.name) for it in span.events],
        "Events.Attributes": [attributes(it.attributes) for it in span.events],
        "Links.TraceId": [it.trace_id.hex() for it in span.links],
        "Links.SpanId": [it.span_id.hex() for it in span.links],
        "Links.TraceState": [storable(it.trace_state) for it in span.links],
        "Links.Attributes": [attributes(it.attributes) for it in span.links],
    }


def texts(attributes: Attributes) -> dict[str, str]:
    """Return *attributes* with each value as text."""
    return {storable(key): text_of(value) for key, value in attributes.items()}


def text_of(value: Any) -> str:
    """Return the text that the Collector makes of a value."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float):
        return _float(value)
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode()
    try:
        return _json(value)
    except ValueError:  # It contains a number that JSON does not have.
        return ""


def _float(value: float) -> str:
    """Return the shortest text that is this number, as Go writes it into JSON."""
    if not isfinite(value):
        said = "NaN" if isnan(value) else ("+Inf" if value > 0 else "-Inf")
        return f"json: unsupported value: {said}"
    if value and not _SMALL <= abs(value) < _GREAT:
        return repr(value).replace("e-0", "e-")
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def _json(value: Any) -> str:
    """Return *value* as Go writes it: keys in their order, and nothing that HTML would take."""
    match value:
        case bool() | int() | None:
            found = json.dumps(value)
        case float():
            if not isfinite(value):
                raise ValueError
            found = _float(value)
        case str() | bytes() | bytearray() | memoryview():
            found = json.dumps(text_of(value), ensure_ascii=False).translate(_ESCAPED)
        case Mapping():
            inner = ((storable(str(key)), it) for key, it in value.items())
            pairs = sorted(inner, key=lambda it: it[0].encode())
            found = "{" + ",".join(f"{_json(key)}:{_json(it)}" for key, it in pairs) + "}"
        case _:
            found = "[" + ",".join(map(_json, value)) + "]"
    return found


def _kept(attributes: Attributes) -> dict[str, Any]:
    return {storable(key): _kept_value(value) for key, value in attributes.items()}


def _kept_value(value: Any) -> Any:
    match value:
        case str() | bytes() | bytearray() | memoryview():
            return text_of(value)
        case bool() | int() | None:
            return value
        case float():
            return value if isfinite(value) else None
        case Mapping():
            return _kept(value)
        case _:
            return [_kept_value(it) for it in value]
