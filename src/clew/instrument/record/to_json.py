"""What an SDK is given and gives, as the JSON that it is on the wire; without files and secrets."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

_LONGEST_FILE = 256
_UNSET = "Unset"


def plain(value: Any) -> Any:  # noqa: PLR0911 - one for each kind of value
    """Return *value* as JSON could hold it.

    What is not data is named by its type, and not touched: an iterator can be read only once. A
    file that is sent along is named by its size.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        return _shortened(value)
    if isinstance(value, Mapping):
        return {
            str(key): plain(item) for key, item in value.items() if type(item).__name__ != _UNSET
        }
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], float):
            return list(value)  # A vector. One by one, a thousand numbers take their time.
        return [plain(item) for item in value]
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if dump := getattr(value, "model_dump", None):
        return plain(dump(by_alias=True, exclude_unset=True, warnings=False))
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if callable(isoformat) else f"<{type(value).__name__}>"


def _shortened(text: str) -> str:
    if len(text) > _LONGEST_FILE and text.startswith("data:"):
        head, comma, data = text.partition(",")
        if head.endswith(";base64"):
            return f"{head}{comma}<{len(data)} characters>"
    return text
