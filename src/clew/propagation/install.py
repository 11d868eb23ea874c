"""Adds `ClewPropagator` to OpenTelemetry's global propagators, when a setting asks for it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from clew.core import otel_private, settings
from clew.patching.undo import UndoStack


def install_propagator(undo: UndoStack) -> None:
    """Add `ClewPropagator` to the global propagators, if the settings let ids be sent or read.

    It is added once, as the last one: where ``OTEL_PROPAGATORS`` or the application has named it
    already, it is only moved to the end, because OpenTelemetry's ``baggage`` overwrites the header.
    """
    if not settings.PROPAGATE_TO.read() and not settings.TRUST_INBOUND.read():
        return
    from opentelemetry.propagate import (  # It loads all propagators
        get_global_textmap,
        set_global_textmap,
    )
    from opentelemetry.propagators.composite import CompositePropagator

    from clew.propagation.http import ClewPropagator, instrument_clients, uninstrument_clients

    undo.add(uninstrument_clients)
    if settings.PROPAGATE_TO.read():
        instrument_clients()
    before = get_global_textmap()
    propagators = list(_flat(before))
    of_clew = [it for it in propagators if isinstance(it, ClewPropagator)]
    for one in of_clew:
        if not one.active:  # It could not be removed, and is in use again until the next time.
            undo.add(partial(_deactivate, one))
            one.active = True
    if propagators and isinstance(propagators[-1], ClewPropagator):
        return
    propagator = of_clew[0] if of_clew else ClewPropagator()
    others = [it for it in propagators if it not in of_clew] if of_clew else [before]
    composite = CompositePropagator([*others, propagator])

    def uninstall() -> None:
        if get_global_textmap() is composite:
            set_global_textmap(before)
        elif not of_clew:  # The application has set others since, which may include this one.
            _deactivate(propagator)

    undo.add(uninstall)
    set_global_textmap(composite)


def _deactivate(propagator: Any) -> None:
    propagator.active = False


def _flat(propagator: Any) -> Iterator[Any]:
    """Yield the propagators that *propagator* is composed of, down to the single ones."""
    parts = otel_private.parts_of_propagator(propagator)
    if parts is None:
        yield propagator
        return
    for part in parts:
        yield from _flat(part)
