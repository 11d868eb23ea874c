"""Checks the types of what sessions are chosen by: one that is wrong would choose none, or fail."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from clew.core.errors import ConfigurationError


class _Type(NamedTuple):
    types: tuple[type, ...]
    words: str
    is_optional: bool = True


_TEXT = _Type((str,), "a text")
_TYPES: dict[str, _Type] = {
    "order_by": _Type((str,), "a text", is_optional=False),
    "rated": _TEXT,
    "user": _TEXT,
    "model": _TEXT,
    "framework": _TEXT,
    "tool": _TEXT,
    "tag": _TEXT,
    "text": _TEXT,
    "after": _TEXT,
    "metadata": _Type((Mapping,), 'a mapping, such as {"release": "1.2"}'),
    "since": _Type((datetime, timedelta), "a datetime or a timedelta, such as timedelta(hours=2)"),
    "until": _Type((datetime, timedelta), "a datetime, such as datetime(2026, 1, 31)"),
    "errors": _Type((bool,), "True or False"),
    "ascending": _Type((bool,), "True or False", is_optional=False),
    "limit": _Type((int,), "a whole number", is_optional=False),
}


def check_types(given: object) -> None:
    """Raise an error if an attribute of *given*, a search, has a type that is none of its own."""
    for name, (types, words, is_optional) in _TYPES.items():
        value = getattr(given, name)
        if value is None and is_optional:
            continue
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            message = f"{name}={value!r:.80} must be {words}, not {type(value).__name__}"
            raise ConfigurationError(message)
        if isinstance(value, Mapping) and not all(isinstance(it, str) for it in value):
            message = f"{name}={value!r:.80} must have texts for names"
            raise ConfigurationError(message)
