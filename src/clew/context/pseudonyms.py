"""Replaces user ids by pseudonyms, where ``CLEW_USER_ID_KEY`` is set."""

import hmac
from functools import lru_cache
from typing import TypeVar

from clew.core import settings

T = TypeVar("T")

_key = settings.USER_ID_KEY.read()


class Pseudonym(str):
    """A user id that is an HMAC already, and is never hashed a second time."""

    __slots__ = ()


def read_key() -> None:
    """Read ``CLEW_USER_ID_KEY`` again. In between, no span has to read the environment."""
    global _key  # One for the process
    _key = settings.USER_ID_KEY.read()


def pseudonyms_are_on() -> bool:
    """Whether user ids are replaced."""
    return _key is not None


def pseudonymise(user_id: T) -> T | str:
    """Return the pseudonym of *user_id*, or *user_id* itself where no key is set."""
    if _key is None or isinstance(user_id, Pseudonym):
        return user_id
    return _pseudonym(_key, str(user_id))


@lru_cache(maxsize=4096)
def _pseudonym(key: bytes, user_id: str) -> Pseudonym:
    return Pseudonym(hmac.new(key, user_id.encode("utf-8", "surrogatepass"), "sha256").hexdigest())
