"""ClewPropagator: sends ids in the headers of requests to one's own services, and reads them.

    OTEL_PROPAGATORS=tracecontext,clew      # or nothing: instrument_all() adds it when it is needed
    CLEW_PROPAGATE_TO=*.mine.com            # the hosts that receive the ids
    CLEW_TRUST_INBOUND=1                    # accept ids from everybody that can call this service

The ids travel as the members ``session.id`` and ``user.id`` of the W3C ``baggage`` header, which
OpenTelemetry can read and write in every language. They never enter OpenTelemetry's own Baggage:
that is sent to every host that the application calls, model providers included.
"""

import os
from collections import OrderedDict
from collections.abc import Set as AbstractSet
from threading import RLock
from typing import Any

from opentelemetry.baggage import get_all, remove_baggage
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import get_current_span

from clew.context.blocks import OPEN_BODIES, resolve_context, with_changes
from clew.context.identity import Identity
from clew.context.ids import IDS, SESSION_ID, USER_ID, external_id
from clew.context.lookup import find_attributes
from clew.context.pseudonyms import Pseudonym, pseudonymise
from clew.context.request_span import INBOUND
from clew.context.stepping import SteppedContext
from clew.core import counters, settings, w3c_baggage
from clew.core.containment import contain
from clew.patching.wrap import Patches
from clew.propagation.destinations import Destination, destination_at, destination_of
from clew.propagation.grpc import wrap_channels
from clew.propagation.redirects import wrap_redirects
from clew.propagation.request_headers import BaggageHeader, read_header, replace_header
from clew.spans.model_traffic import watch_model_calls

PSEUDONYM = w3c_baggage.PSEUDONYM
KEYS = (*IDS, PSEUDONYM)


class ClewPropagator(TextMapPropagator):
    """Writes the ids into requests to the hosts in ``CLEW_PROPAGATE_TO``, and to no others.

    The host is read from the span of the request, which is current while its headers are written:
    without an instrumentation of the HTTP client, or where the span is not sampled, nothing is
    written. The request of a model call carries no id, wherever it goes. A request to a host that
    is not listed carries neither ``session.id`` nor ``user.id`` in this header, whoever has put
    them there.

    Reads the ids of an incoming request where ``CLEW_TRUST_INBOUND`` is set. Ids that the
    application itself gives the request, in a middleware or in a block, have precedence.

    It must be the last of several propagators: OpenTelemetry's ``baggage`` overwrites the header.
    """

    def __init__(self) -> None:
        self.active = True
        """False after ``uninstrument_all()``, where this propagator cannot be removed."""
        watch_model_calls()
        if settings.PROPAGATE_TO.read():
            instrument_clients()

    @property
    def fields(self) -> set[str]:
        """The names of the headers that are written."""
        return {w3c_baggage.HEADER}

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write the ids of *context* into *carrier*, if the request goes to a listed host."""
        if not self.active:
            return
        try:
            _inject(carrier, context, setter)
        except Exception:
            contain("writing the ids into a request")

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """Return *context* with the ids in *carrier*, if ``CLEW_TRUST_INBOUND`` is set."""
        context = get_current() if context is None else context
        if not self.active:
            return context
        try:
            return _extracted(carrier, context, getter)
        except Exception:
            contain("reading the ids of a request")
            return context


# --- outbound ---


def _inject(carrier: Any, context: Context | None, setter: Setter[Any]) -> None:
    old = read_header(carrier)
    if old is None:
        return  # Headers that cannot be read would be overwritten.
    match destination_of(get_current_span(context), settings.PROPAGATE_TO.read()):
        case Destination.LISTED:
            text = _with_ids(_without_written(old.text), context)
        case Destination.MODEL | Destination.UNLISTED:
            text = _without_ids(old.text)
    _replace(carrier, old, text, setter)


def remove_ids(headers: Any, url: object) -> None:
    """Remove the ids from *headers*, by their keys, unless *url* is on a listed host."""
    old = read_header(headers)
    if old is None or not old.text:
        return
    if destination_at(url, settings.PROPAGATE_TO.read()) is not Destination.LISTED:
        _replace(headers, old, _without_ids(old.text), default_setter)


_patches: list[Patches] = []
_lock = RLock()


def _renew_lock() -> None:
    global _lock  # A thread of the parent process, which the child does not have, may hold it
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def instrument_clients() -> None:
    """Wrap the redirects of HTTP clients and the channels of gRPC, unless that is done already."""
    with _lock:
        if _patches:
            return
        try:
            _patches.append(patches := Patches())
            wrap_redirects(patches, remove_ids)
            wrap_channels(patches)
        except BaseException:
            uninstrument_clients()
            raise


def uninstrument_clients() -> None:
    """Undo `instrument_clients`."""
    with _lock:
        while _patches:
            _patches.pop().undo()


def _replace(carrier: Any, old: BaggageHeader, text: str, setter: Setter[Any]) -> None:
    if text != old.text:
        replace_header(carrier, old, text, setter)


def _with_ids(header: str, context: Context | None) -> str:
    """Return *header* with the ids that are not in it yet, if there is room for them."""
    # Of two contexts only the given one counts: the ids of the current may be another customer's.
    attributes = (
        find_attributes() if context is None else SteppedContext(context).run(find_attributes)
    ).attributes
    present = {w3c_baggage.key_of(member) for member in w3c_baggage.members_of(header)}
    added = []
    for key in IDS:
        value = attributes.get(key)
        if key not in present and isinstance(value, str):
            added.append(w3c_baggage.encode_member(key, value))
            if key == USER_ID and isinstance(value, Pseudonym):
                added.append(w3c_baggage.encode_member(PSEUDONYM, USER_ID))
    written = w3c_baggage.join(*added)
    longer = w3c_baggage.join(header, written)
    if len(longer.encode("utf-8", "surrogatepass")) > w3c_baggage.MAX_BYTES:
        counters.count("ids for which a request's baggage has no room")
        return header
    if written:
        instrument_clients()
        _remember(written)
    return longer


def _without_ids(header: str) -> str:
    members = w3c_baggage.members_of(header)
    kept = [member for member in members if w3c_baggage.key_of(member) not in KEYS]
    return header if len(kept) == len(members) else w3c_baggage.join(*kept)


# When a client sends a request to a listed host again, its headers still hold what was written
# into them here before. This is told from what the application has written by its text. Requests
# to hosts that are not listed do not depend on this memory: there the ids are removed by their
# keys.
_written: OrderedDict[str, None] = OrderedDict()
_MAX_WRITTEN = 1024


def _remember(written: str) -> None:
    with _lock:
        _written[written] = None
        _written.move_to_end(written)
        if len(_written) > _MAX_WRITTEN:
            _written.popitem(last=False)


def _without_written(header: str) -> str:
    """Return *header* as it was before `_with_ids` added the ids to its end."""
    if not _written or not header:
        return header
    members = w3c_baggage.members_of(header)
    for size in range(min(len(KEYS), len(members)), 0, -1):
        if w3c_baggage.join(*members[-size:]) in _written:
            return w3c_baggage.join(*members[:-size])
    return header


# --- inbound ---


def _extracted(carrier: Any, context: Context, getter: Getter[Any]) -> Context:
    headers: Any = getter.get(carrier, w3c_baggage.HEADER)
    if not headers:
        return context
    if isinstance(headers, str | bytes):  # From a getter of the application's own.
        headers = [headers]
    # OpenTelemetry's `baggage` would send them on to every host that this service calls.
    for key in KEYS:
        if key in get_all(context):
            context = remove_baggage(key, context)
    if not settings.TRUST_INBOUND.read():
        return context
    current = get_current()
    if OPEN_BODIES in current:
        current = resolve_context(current)
    present = {key for key in IDS for it in (context, current) if it.get(key) is not None}
    ids = _ids_in([_as_bytes(header) for header in headers], {*IDS} - present)
    if not ids:
        return context
    identity = Identity(session_id=ids.get(SESSION_ID), user_id=ids.get(USER_ID))
    return Context({**with_changes(context, identity.attributes()), INBOUND: ids})


def _ids_in(headers: list[bytes], wanted: AbstractSet[str]) -> dict[str, str]:
    """Return the ids of *headers* that can be used; others are dropped and counted."""
    read = w3c_baggage.read(headers, KEYS)
    ids: dict[str, str] = {}
    for key in wanted:
        value = w3c_baggage.single_value(read[key])
        if value is not None and (usable := external_id(value)) is not None:
            ids[key] = usable
    if USER_ID in ids:
        user_id = Pseudonym(ids[USER_ID]) if USER_ID in read[PSEUDONYM] else ids[USER_ID]
        ids[USER_ID] = pseudonymise(user_id)
    return ids


def _as_bytes(header: object) -> bytes:
    if isinstance(header, bytes):
        return header
    return str(header).encode("utf-8", "surrogatepass")
