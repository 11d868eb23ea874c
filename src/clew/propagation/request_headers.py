"""Reads and replaces the ``baggage`` header of a request that is about to be sent.

OpenTelemetry gives a propagator a way to set a header, but none to read one that is there. The
headers may be a dict, an object of some HTTP client, or gRPC's metadata.
"""

from contextlib import suppress
from typing import Any, NamedTuple

from opentelemetry.propagators.textmap import Setter

from clew.core.w3c_baggage import HEADER, join


class BaggageHeader(NamedTuple):
    """The baggage header of a request: its name as spelt there, and all its values, joined."""

    name: str
    text: str


def read_header(carrier: Any) -> BaggageHeader | None:
    """Return the baggage header of *carrier*; None where its headers cannot be read."""
    try:
        found = [(str(name), _text(value)) for name, value in carrier.items() if _is_baggage(name)]
    except (AttributeError, TypeError, ValueError):
        return None
    if not found:
        return BaggageHeader(HEADER, "")
    return BaggageHeader(found[-1][0], join(*(text for _, text in found)))


def replace_header(carrier: Any, old: BaggageHeader, text: str, setter: Setter[Any]) -> None:
    """Replace the *old* baggage header of *carrier* by one with *text*, or by none."""
    if old.text:
        for name in [name for name in carrier.keys() if _is_baggage(name)]:  # noqa: SIM118 - gRPC's differ
            # In some clients, setting a header adds one instead of replacing it.
            with suppress(KeyError):
                del carrier[name]
    if text:
        setter.set(carrier, old.name, text)


def _is_baggage(name: object) -> bool:
    return isinstance(name, str) and name.lower() == HEADER


def _text(value: object) -> str:
    if isinstance(value, list):
        return join(*map(_text, value))
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
