"""Attributes as JSON text, from which every value that OTLP allows comes back unchanged.

JSON has no bytes, no NaN and no infinity. Each of these becomes an object with one key that says
what it is: ``{"bytes": "aGk="}``, ``{"float": "nan"}``; and so does a mapping, ``{"map": {...}}``,
so that it is not taken for one of them.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from math import isfinite
from typing import Any

from clew.store.record import Attributes, Value

_COMPRESSED_FROM = 512
"""Characters from which a text is compressed: shorter ones would hardly get smaller."""
_PLAIN = frozenset({str, bool, int, type(None)})
"""Types that are the same in JSON."""
_PLAIN_OR_FLOAT = _PLAIN | {float}

# What is encoded has been made anew by `tagged`, and cannot contain itself.
_encode_plain = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
_encode_as_ascii = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


def tagged(attributes: Attributes) -> dict[str, Any]:
    """Return *attributes* as JSON can express them."""
    if _PLAIN.issuperset(map(type, attributes.values())):
        return dict(attributes)
    return {
        key: value if type(value) in _PLAIN else _tagged(value) for key, value in attributes.items()
    }


def untagged(attributes: Mapping[str, Any]) -> dict[str, Value]:
    """Return the attributes that `tagged` was given; sequences are tuples."""
    if _PLAIN.issuperset(map(type, attributes.values())):
        return dict(attributes)
    return {key: _untagged(value) for key, value in attributes.items()}


def _tagged(value: Any) -> Any:
    match value:
        case str():
            return str.__str__(value)  # Of a member of an enumeration, not the name.
        case bool() | int() | None:
            return value
        case float():
            return float(value) if isfinite(value) else {"float": str(float(value))}
        case bytes() | bytearray() | memoryview():
            return {"bytes": b64encode(value).decode()}
        case Mapping():
            return {"map": {str(key): _tagged(each) for key, each in value.items()}}
        case _:
            return [_tagged(each) for each in value]


def _untagged(value: Any) -> Value:
    if isinstance(value, list):
        return tuple(map(_untagged, value))
    if not isinstance(value, dict):
        plain: Value = value
        return plain
    ((tag, content),) = value.items()
    if tag == "bytes":
        return b64decode(content)
    if tag == "float":
        return float(content)
    return {key: _untagged(each) for key, each in content.items()}


def attributes_to_json(attributes: Attributes) -> str:
    """Return `tagged` *attributes* as JSON, faster where nothing in them needs a tag."""
    if _PLAIN_OR_FLOAT.issuperset(map(type, attributes.values())):
        try:
            text = _encode_plain(attributes)
        except ValueError:  # NaN, an infinity, or a very long integer.
            pass
        else:
            return text if is_utf8(text) else _encode_as_ascii(attributes)
    return to_json(tagged(attributes))


def to_json(value: Any) -> str:
    """Return *value* as JSON. Half a surrogate pair, which UTF-8 does not have, is escaped."""
    try:
        text = _encode(value)
    except ValueError:  # An integer with more digits than Python prints, or reads.
        value = _with_hexadecimal(value)
        text = _encode(value)
    return text if is_utf8(text) else _encode_as_ascii(value)


def _with_hexadecimal(value: Any) -> Any:
    """Return *value* with the integers that are too long for JSON as hexadecimal text."""
    match value:
        case dict():
            return {key: _with_hexadecimal(each) for key, each in value.items()}
        case list() | tuple():
            return [_with_hexadecimal(each) for each in value]
        case int():
            try:
                str(value)
            except ValueError:
                return hex(value)
    return value


def is_utf8(text: str) -> bool:
    """Whether *text* can be stored; half a surrogate pair cannot."""
    if text.isascii():  # Known without looking at its characters.
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def pack(text: str) -> str | bytes:
    """Return *text* as it is stored: compressed, if it is long."""
    return text if len(text) < _COMPRESSED_FROM else zlib.compress(text.encode(), 1)


def unpack(stored: str | bytes) -> str:
    """Return the text that `pack` was given."""
    return stored if isinstance(stored, str) else zlib.decompress(stored).decode()
