"""A weak dictionary by identity: what is kept of an object of others, for as long as it lives.

Python's own go by hash, and an object that compares by value has none: Logfire's tracer provider,
a dataclass, cannot be a key of a `WeakKeyDictionary`.
"""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar
from weakref import ref

T = TypeVar("T")


class WeakById(Generic[T]):
    """Few objects, each with a value. One that is gone is forgotten when the next one comes."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[ref[Any], T]] = {}

    def get(self, key: object) -> T | None:
        """Return the value of *key*, if it has one."""
        reference, value = self._found.get(id(key), (None, None))
        # An id may be that of an object which is gone.
        return value if reference is not None and reference() is key else None

    def __setitem__(self, key: object, value: T) -> None:
        self._found = {number: it for number, it in self._found.items() if it[0]() is not None}
        self._found[id(key)] = (ref(key), value)

    def discard(self, key: object) -> None:
        """Forget *key*."""
        if self.get(key) is not None:
            del self._found[id(key)]

    def __iter__(self) -> Iterator[Any]:
        alive = (reference() for reference, _ in list(self._found.values()))
        return iter([key for key in alive if key is not None])
