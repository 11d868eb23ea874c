"""Reads JSON out of attributes, whatever an instrumentation has put there; never raises."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

_DIGITS = 9
"""A longer number is no index: Python refuses to read one of thousands of digits."""


def parse(value: object) -> Any:
    """Return what a JSON text says; None if it is none, or says only a number or a name."""
    if not isinstance(value, str) or value.lstrip()[:1] not in {"{", "[", '"'}:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def dump(value: object) -> str:
    """Return *value* as text: a text as it is, anything else as JSON."""
    if isinstance(value, str):
        return storable(value)
    if value is None:
        return ""
    try:
        return storable(json.dumps(value, ensure_ascii=False, default=str))
    except (ValueError, TypeError, RecursionError):
        return ""


def text(value: object) -> str:
    """Return *value* if it is a text, otherwise an empty one."""
    return storable(value) if isinstance(value, str) else ""


def storable(value: str) -> str:
    """Return a text that every database takes: one half of a character is no character."""
    try:
        value.encode()
    except UnicodeEncodeError:  # A provider's stream, or somebody's JSON, has cut it in two.
        return value.encode(errors="replace").decode()
    return value


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether *value* is a JSON object."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether *value* is a JSON array."""
    return isinstance(value, list | tuple)


def index(digits: str) -> int | None:
    """Return the number that a part of an attribute's key is; None if it is none."""
    if len(digits) <= _DIGITS and digits.isascii() and digits.isdigit():
        return int(digits)
    return None


def numbered(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Return the parts of a list that is flattened into keys such as ``prefix.0.rest``.

    They are in the order of their numbers, of which some may be missing. A value of its own,
    ``prefix.0``, has the key ``""``.
    """
    found: dict[int, dict[str, Any]] = {}
    length = len(prefix)
    for key, value in attributes.items():
        if key.startswith(prefix):
            digits, _, rest = key[length:].partition(".")
            number = index(digits)
            if number is not None:
                found.setdefault(number, {})[rest] = value
    return [found[number] for number in sorted(found)]


def first(attributes: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """Return the value of the first of *keys* that has one; None if none has."""
    for key in keys:
        value = attributes.get(key)
        if value is not None and value != "":
            return value
    return None
