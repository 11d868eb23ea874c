"""A weak-keyed dictionary that compares its keys by identity.

Python's `WeakKeyDictionary` needs the hash of its keys, and an object that compares by value may
have none: Logfire's tracer provider, a dataclass, cannot be a key of it.
"""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar
from weakref import ref

T = TypeVar("T")


class WeakById(Generic[T]):
    """A dictionary for few objects. One that no longer exists is removed when the next is added."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[ref[Any], T]] = {}

    def get(self, key: object) -> T | None:
        """Return the value of *key*, or None."""
        reference, value = self._entries.get(id(key), (None, None))
        # The id may have been that of an object which no longer exists.
        return value if reference is not None and reference() is key else None

    def __setitem__(self, key: object, value: T) -> None:
        entries = self._entries.items()
        self._entries = {number: entry for number, entry in entries if entry[0]() is not None}
        self._entries[id(key)] = (ref(key), value)

    def discard(self, key: object) -> None:
        """Remove *key*, if it is there."""
        if self.get(key) is not None:
            del self._entries[id(key)]

    def __iter__(self) -> Iterator[Any]:
        keys = (reference() for reference, _ in list(self._entries.values()))
        return iter([key for key in keys if key is not None])
