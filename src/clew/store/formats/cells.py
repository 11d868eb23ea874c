"""Reads the values that the rows of Phoenix's and Langfuse's exports consist of."""

import binascii
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from clew.store.otlp import MalformedError
from clew.store.otlp.limits import MAX_DEPTH
from clew.store.record import Value

_1970 = datetime(1970, 1, 1, tzinfo=UTC)
# The units of numbers of which the larger ones would be times before 1973: seconds to nanoseconds.
_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))


def is_missing(value: object) -> bool:
    """Whether a cell is empty: data frames have None or NaN where a row lacks a column."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def nanoseconds(value: object, name: str) -> int:
    """Return a time as nanoseconds since 1970; one without an offset is in UTC."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return (aware - _1970) // timedelta(microseconds=1) * 1000
    elif _is_finite(value):
        for limit, factor in _UNITS:
            if abs(value) < limit:
                return int(value * factor)
        return int(value)
    message = f"{name} is no time"
    raise MalformedError(message)


def _is_finite(value: object) -> TypeGuard[int | float]:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def id_of(value: object, name: str, length: int) -> bytes:
    """Return an id of *length* bytes in hexadecimal."""
    try:
        found = binascii.unhexlify(value) if isinstance(value, str) else b""
    except ValueError:
        found = b""
    if len(found) != length:
        message = f"{name} is no id of {length} bytes in hexadecimal"
        raise MalformedError(message)
    return found


def text_of(value: object) -> str:
    """Return a text, or what else was given as JSON; empty for what is missing."""
    if is_missing(value):
        return ""
    return value if isinstance(value, str) else as_json(value)


def as_json(value: object) -> str:
    """Return *value* as JSON."""
    return json.dumps(value, ensure_ascii=False)


def value_of(value: Any, depth: int = 0) -> Value:
    """Return what JSON or Parquet has as the value of an attribute."""
    if depth > MAX_DEPTH:
        message = "its values are nested too deeply"
        raise MalformedError(message)
    if isinstance(value, Mapping):
        return {str(key): value_of(each, depth + 1) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple([value_of(each, depth + 1) for each in value])
    if value is None or isinstance(value, str | bool | int | float | bytes):
        return value
    return str(value)
