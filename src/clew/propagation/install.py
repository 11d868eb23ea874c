"""Puts `ClewPropagator` where instrumentations find it, when a setting asks for it."""

from collections.abc import Callable, Iterator
from typing import Any

from clew.core import settings


def join_propagators() -> Callable[[], None]:
    """Add `ClewPropagator` to the global propagators, where ids may cross the wire at all.

    Once, and last: where ``OTEL_PROPAGATORS`` or the application has named it already, it is only
    moved to the end, because OpenTelemetry's ``baggage`` overwrites the header. Return what undoes
    it.
    """
    if not settings.PROPAGATE_TO.read() and not settings.TRUST_INBOUND.read():
        return lambda: None
    from opentelemetry.propagate import (  # It loads all propagators
        get_global_textmap,
        set_global_textmap,
    )
    from opentelemetry.propagators.composite import CompositePropagator

    from clew.propagation.http import ClewPropagator, guard, unguard

    if settings.PROPAGATE_TO.read():
        guard()
    before = get_global_textmap()
    known = list(_flat(before))
    if known and isinstance(known[-1], ClewPropagator):
        return unguard
    named = [it for it in known if isinstance(it, ClewPropagator)]
    ours = named[0] if named else ClewPropagator()
    rest = [it for it in known if it not in named] if named else [before]
    joined = CompositePropagator([*rest, ours])
    set_global_textmap(joined)

    def part() -> None:
        if get_global_textmap() is joined:
            set_global_textmap(before)
        elif not named:  # The application has set others since, which may hold this one.
            ours.active = False
        unguard()

    return part


def _flat(propagator: Any) -> Iterator[Any]:
    """Yield the propagators that one is composed of, which OpenTelemetry keeps to itself."""
    parts = getattr(propagator, "_propagators", None)
    if not isinstance(parts, list | tuple):
        yield propagator
        return
    for part in parts:
        yield from _flat(part)
