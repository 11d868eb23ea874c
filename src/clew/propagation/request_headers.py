"""The headers of a request that is being made, of whatever make, as far as they bear reading.

OpenTelemetry gives a propagator a way to set a header, none to read one that is there: a dict, the
headers of some HTTP client, or gRPC's metadata.
"""

from contextlib import suppress
from typing import Any, NamedTuple

from opentelemetry.propagators.textmap import Setter

from clew.core.w3c_baggage import HEADER, join


class Standing(NamedTuple):
    """The baggage header as it stands: the name that it has there, and all that it says."""

    name: str
    text: str


def standing(carrier: Any) -> Standing | None:
    """Return the baggage header of *carrier*; None where its headers cannot be read."""
    try:
        found = [(str(name), _text(value)) for name, value in carrier.items() if _is_it(name)]
    except (AttributeError, TypeError, ValueError):
        return None
    if not found:
        return Standing(HEADER, "")
    return Standing(found[-1][0], join(*(text for _, text in found)))


def replace(carrier: Any, found: Standing, header: str, setter: Setter[Any]) -> None:
    """Let *carrier* say *header*, once, in place of what was *found*."""
    if found.text:
        for name in [name for name in carrier.keys() if _is_it(name)]:  # noqa: SIM118 - gRPC's differ
            # Setting it adds one more to the headers of some clients.
            with suppress(KeyError):
                del carrier[name]
    if header:
        setter.set(carrier, found.name, header)


def _is_it(name: object) -> bool:
    return isinstance(name, str) and name.lower() == HEADER


def _text(value: object) -> str:
    if isinstance(value, list):
        return join(*map(_text, value))
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
