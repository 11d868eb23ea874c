"""Converts what an SDK is called with and returns to JSON values, without files and secrets."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

_LONGEST_DATA_URL = 256
_UNSET = "Unset"


def to_json(value: Any) -> Any:  # noqa: PLR0911 - one for each kind of value
    """Convert *value* to what JSON can hold, as it is sent to the provider.

    An object that is not data is replaced by the name of its type and not read, as an iterator can
    be read only once. A file is replaced by its size.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return to_json(value.value)
    if isinstance(value, str):
        return _without_file(value)
    if isinstance(value, Mapping):
        return {
            str(key): to_json(item) for key, item in value.items() if type(item).__name__ != _UNSET
        }
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], float):
            return list(value)  # A vector: converting a thousand numbers one by one is slow.
        return [to_json(item) for item in value]
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if dump := getattr(value, "model_dump", None):
        return to_json(dump(by_alias=True, exclude_unset=True, warnings=False))
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if callable(isoformat) else f"<{type(value).__name__}>"


def _without_file(text: str) -> str:
    if len(text) > _LONGEST_DATA_URL and text.startswith("data:"):
        head, comma, data = text.partition(",")
        if head.endswith(";base64"):
            return f"{head}{comma}<{len(data)} characters>"
    return text
