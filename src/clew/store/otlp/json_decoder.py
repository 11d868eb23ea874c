"""Reads OTLP/JSON without loss.

OTLP/JSON is protobuf's JSON, but for ids, which are hexadecimal instead of base64, and for enums,
which are numbers. `google.protobuf.json_format` therefore cannot read it. What is read may be more
than the specification allows to be written: integers as numbers or texts, names of enums.
"""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from clew.store.otlp.limits import (
    INT64,
    MAX_DEPTH,
    MAX_SPANS,
    TOO_MANY_SPANS,
    MalformedError,
    TooLargeError,
    encodable,
    parent_or_none,
)
from clew.store.record import KINDS, Event, Link, Resource, Scope, SpanRecord, Value

_UINT32, _UINT64 = range(2**32), range(2**64)
_INT32 = range(-(2**31), 2**31)
_INTEGER = re.compile(r"-?[0-9]+")
_LONGEST = 100
_DOUBLE = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity")
"""Numbers that are texts. Python would also read spaces, other digits, and ``1_000``."""
_KINDS = {f"SPAN_KIND_{name}": number for number, name in enumerate(KINDS)}
_STATUSES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}


def from_json(body: bytes | str) -> list[SpanRecord]:
    """Return the spans of an ExportTraceServiceRequest in JSON."""
    return from_parsed_json(parse_json(body))


def parse_json(body: bytes | str) -> Any:
    """Return what *body* says in JSON, with texts that can be encoded."""
    try:
        text = body if isinstance(body, str) else body.decode("utf-8-sig")
        data = json.loads(text)
        half_pairs = "\\ud" in text or "\\uD" in text
        return _without_half_pairs(data) if half_pairs else data
    except RecursionError as error:
        message = "its values are nested too deeply"
        raise MalformedError(message) from error
    except ValueError as error:
        message = f"not JSON: {error}"
        raise MalformedError(message) from error


def list_from_json(text: str) -> Value:
    """Return the list that *text* is: an ArrayValue, as it stands inside a request in JSON."""
    return _array({"arrayValue": parse_json(text)}, 0)


def from_parsed_json(data: Any) -> list[SpanRecord]:
    """Return the spans of an ExportTraceServiceRequest whose JSON has been parsed."""
    records: list[SpanRecord] = []
    for of_resource in _objects(data, "resourceSpans"):
        _add_resource(records, of_resource)
    return records


def _add_resource(records: list[SpanRecord], group: dict[str, Any]) -> None:
    described = _object(group, "resource")
    resource = Resource(
        attributes=_attributes(described),
        schema_url=_text(group, "schemaUrl"),
        dropped_attributes=_integer(described, "droppedAttributesCount", _UINT32),
    )
    for of_scope in _objects(group, "scopeSpans"):
        described = _object(of_scope, "scope")
        scope = Scope(
            name=_text(described, "name"),
            version=_text(described, "version"),
            attributes=_attributes(described) or None,
            schema_url=_text(of_scope, "schemaUrl"),
            dropped_attributes=_integer(described, "droppedAttributesCount", _UINT32),
        )
        spans = _objects(of_scope, "spans")
        if len(records) + len(spans) > MAX_SPANS:
            raise TooLargeError(TOO_MANY_SPANS)
        records += [_record(span, resource, scope) for span in spans]


def _record(span: dict[str, Any], resource: Resource, scope: Scope) -> SpanRecord:
    status = _object(span, "status")
    return SpanRecord(
        trace_id=_id(span, "traceId"),
        span_id=_id(span, "spanId"),
        parent_id=parent_or_none(_id(span, "parentSpanId")),
        name=_text(span, "name"),
        start=_integer(span, "startTimeUnixNano", _UINT64),
        end=_integer(span, "endTimeUnixNano", _UINT64),
        attributes=_attributes(span),
        kind=_integer(span, "kind", _INT32, _KINDS),
        status=_integer(status, "code", _INT32, _STATUSES),
        status_message=_text(status, "message"),
        events=tuple(
            [
                Event(
                    name=_text(it, "name"),
                    time=_integer(it, "timeUnixNano", _UINT64),
                    attributes=_attributes(it),
                    dropped_attributes=_integer(it, "droppedAttributesCount", _UINT32),
                )
                for it in _objects(span, "events")
            ]
        ),
        links=tuple(
            [
                Link(
                    trace_id=_id(it, "traceId"),
                    span_id=_id(it, "spanId"),
                    attributes=_attributes(it),
                    trace_state=_text(it, "traceState"),
                    flags=_integer(it, "flags", _UINT32),
                    dropped_attributes=_integer(it, "droppedAttributesCount", _UINT32),
                )
                for it in _objects(span, "links")
            ]
        ),
        resource=resource,
        scope=scope,
        trace_state=_text(span, "traceState"),
        flags=_integer(span, "flags", _UINT32),
        dropped_attributes=_integer(span, "droppedAttributesCount", _UINT32),
        dropped_events=_integer(span, "droppedEventsCount", _UINT32),
        dropped_links=_integer(span, "droppedLinksCount", _UINT32),
    )


def _attributes(
    owner: dict[str, Any], name: str = "attributes", depth: int = 0
) -> dict[str, Value]:
    attributes: dict[str, Value] = {}
    for it in _objects(owner, name):
        key, value = it.get("key"), it.get("value")
        if type(key) is not str:
            key = _text(it, "key")
        attributes[key] = _value(value, depth)
    return attributes


def _value(value: Any, depth: int) -> Value:
    if value is None:
        return None
    if type(value) is not dict:
        _refuse("value", value, "an object")
    text = value.get("stringValue")
    if type(text) is str:
        return text
    # Of the fields of a value one is set. Others are from a later version of OTLP.
    for field, given in value.items():
        if given is not None and field in _READERS:
            return _READERS[field](value, depth)
    return None


def _array(value: dict[str, Any], depth: int) -> Value:
    _check(depth)
    array = _object(value, "arrayValue").get("values")
    if array is None:
        return ()
    if type(array) is not list:
        _refuse("values", array, "an array")
    return tuple([_value(it, depth + 1) for it in array])


def _map(value: dict[str, Any], depth: int) -> Value:
    _check(depth)
    return _attributes(_object(value, "kvlistValue"), "values", depth + 1)


def _check(depth: int) -> None:
    if depth >= MAX_DEPTH:
        message = "its values are nested too deeply"
        raise MalformedError(message)


def _boolean(value: dict[str, Any], _depth: int) -> bool:
    given = value["boolValue"]
    if type(given) is not bool:
        _refuse("boolValue", given, "true or false")
    return given


def _double(value: dict[str, Any], _depth: int) -> float:
    given = value["doubleValue"]
    if type(given) in {int, float} or (type(given) is str and _DOUBLE.fullmatch(given)):
        # Python's names of what is no finite number are also those of JSON in protobuf.
        with suppress(OverflowError):
            return float(given)
    return _refuse("doubleValue", given, "a number")


def _bytes(value: dict[str, Any], _depth: int) -> bytes:
    given = _text(value, "bytesValue").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return b64decode(given + "=" * (-len(given) % 4), validate=True)
    except ValueError:
        _refuse("bytesValue", given, "base64")


_READERS: dict[str, Callable[[dict[str, Any], int], Value]] = {
    "stringValue": lambda value, _: _text(value, "stringValue"),
    "boolValue": _boolean,
    "intValue": lambda value, _: _integer(value, "intValue", INT64),
    "doubleValue": _double,
    "arrayValue": _array,
    "kvlistValue": _map,
    "bytesValue": _bytes,
}


def _object(owner: dict[str, Any], name: str) -> dict[str, Any]:
    given = owner.get(name)
    if given is None:
        return {}
    if type(given) is not dict:
        _refuse(name, given, "an object")
    return given


def _objects(owner: Any, name: str) -> list[dict[str, Any]]:
    if type(owner) is not dict:
        _refuse("the request", owner, "an object")
    given = owner.get(name)
    if given is None:
        return []
    if type(given) is not list:
        _refuse(name, given, "an array")
    for it in given:
        if type(it) is not dict:
            _refuse(f"one of {name}", it, "an object")
    return given


def _text(owner: dict[str, Any], name: str) -> str:
    given = owner.get(name)
    if given is None:
        return ""
    if type(given) is not str:
        _refuse(name, given, "a text")
    return given


def _integer(
    owner: dict[str, Any], name: str, allowed: range, names: Mapping[str, int] | None = None
) -> int:
    given = owner.get(name)
    if given is None:
        return 0
    number = given
    if type(given) is str:
        if names and given in names:
            return names[given]
        if not _INTEGER.fullmatch(given):
            _refuse(name, given, "an integer")
        # Python refuses to read thousands of digits.
        number = int(given) if len(given) <= _LONGEST else None
    elif type(given) is float and given.is_integer():
        number = int(given)
    if type(number) is not int or number not in allowed:
        within = f"an integer from {allowed[0]} to {allowed[-1]}"
        if type(given) is str:  # Which is allowed, unlike the number that it is.
            message = f"not OTLP/JSON: {name} is out of range: give {within}"
            raise MalformedError(message)
        _refuse(name, given, within)
    return number


def _id(owner: dict[str, Any], name: str) -> bytes:
    given = _text(owner, name)
    try:
        return binascii.unhexlify(given)
    except ValueError:
        _refuse(name, given, "hexadecimal")


def _refuse(name: str, given: object, expected: str) -> NoReturn:
    # The value is shown as far as it cannot be a secret that somebody sent.
    shown = f"{given!r:.40}" if isinstance(given, int | float) else f"a {type(given).__name__}"
    message = f"not OTLP/JSON: {name} is {shown} instead of {expected}"
    raise MalformedError(message)


def _without_half_pairs(data: Any) -> Any:
    """Return *data* with each text encodable: JSON can escape one half of a surrogate pair."""
    if isinstance(data, str):
        return encodable(data)
    if isinstance(data, list):
        return [_without_half_pairs(it) for it in data]
    if isinstance(data, dict):
        return {encodable(key): _without_half_pairs(it) for key, it in data.items()}
    return data
