"""Adds `ClewPropagator` to OpenTelemetry's global propagators, when a setting asks for it."""

from collections.abc import Callable, Iterator
from typing import Any

from clew.core import settings


def install_propagator() -> Callable[[], None]:
    """Add `ClewPropagator` to the global propagators, if the settings let ids be sent or read.

    It is added once, as the last one: where ``OTEL_PROPAGATORS`` or the application has named it
    already, it is only moved to the end, because OpenTelemetry's ``baggage`` overwrites the header.
    Return what undoes it.
    """
    if not settings.PROPAGATE_TO.read() and not settings.TRUST_INBOUND.read():
        return lambda: None
    from opentelemetry.propagate import (  # It loads all propagators
        get_global_textmap,
        set_global_textmap,
    )
    from opentelemetry.propagators.composite import CompositePropagator

    from clew.propagation.http import ClewPropagator, instrument_clients, uninstrument_clients

    if settings.PROPAGATE_TO.read():
        instrument_clients()
    before = get_global_textmap()
    propagators = list(_flat(before))
    if propagators and isinstance(propagators[-1], ClewPropagator):
        return uninstrument_clients
    of_clew = [it for it in propagators if isinstance(it, ClewPropagator)]
    propagator = of_clew[0] if of_clew else ClewPropagator()
    others = [it for it in propagators if it not in of_clew] if of_clew else [before]
    composite = CompositePropagator([*others, propagator])
    set_global_textmap(composite)

    def uninstall() -> None:
        if get_global_textmap() is composite:
            set_global_textmap(before)
        elif not of_clew:  # The application has set others since, which may include this one.
            propagator.active = False
        uninstrument_clients()

    return uninstall


def _flat(propagator: Any) -> Iterator[Any]:
    """Yield the propagators that *propagator* is composed of, which OpenTelemetry keeps private."""
    parts = getattr(propagator, "_propagators", None)
    if not isinstance(parts, list | tuple):
        yield propagator
        return
    for part in parts:
        yield from _flat(part)
