"""Tests of conversations: the fixture ``clew_session`` of clew's pytest plugin.

def test_refund(clew_session):
    with clew_session("refund", user_id="ada") as session:
        shop.ask("I want my money back for order A-17.")
    assert session.first_bad_turn is None

pytest finds the plugin by itself once clew is installed. The names here are for annotations.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clew.testing.fixture import NothingRecordedError as NothingRecordedError
    from clew.testing.fixture import SessionFixture as SessionFixture
    from clew.testing.fixture import SessionUnderTest as SessionUnderTest

__all__ = ["NothingRecordedError", "SessionFixture", "SessionUnderTest"]


def __getattr__(name: str) -> Any:
    """Import what is used: pytest imports this package in every run."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    return getattr(import_module("clew.testing.fixture"), name)


def __dir__() -> list[str]:
    return [*__all__]
