"""ClewPropagator: the ids in the headers of requests, between services that belong together.

    OTEL_PROPAGATORS=tracecontext,clew      # or nothing: instrument_all() adds it when it is needed
    CLEW_PROPAGATE_TO=*.mine.com            # who is told the ids
    CLEW_TRUST_INBOUND=1                    # who is believed: everybody that can call this service

The ids travel as the members ``session.id`` and ``user.id`` of the W3C ``baggage`` header, which
OpenTelemetry can read and write in every language. They never enter OpenTelemetry's own Baggage:
that is sent to whomever the application calls, model providers included.
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

from clew.context.api import carried, entered
from clew.context.blocks import IN_A_BODY, as_it_applies
from clew.context.identity import (
    IDS,
    SESSION_ID,
    USER_ID,
    Identity,
    Pseudonym,
    admitted_id,
    pseudonymised,
)
from clew.context.request_span import INBOUND
from clew.context.stepping import Held
from clew.core import counters, settings, w3c_baggage
from clew.core.containment import contain
from clew.patching.wrap import Patches
from clew.propagation.destinations import Destination, destination_at, destination_of
from clew.propagation.grpc import addressed
from clew.propagation.redirects import guarded
from clew.propagation.request_headers import Standing, replace, standing
from clew.spans.model_traffic import watch_model_calls

PSEUDONYM = "clew.pseudonym"
"""The member that says which other one is a pseudonym, so that it is not hashed again."""
KEYS = (*IDS, PSEUDONYM)


class ClewPropagator(TextMapPropagator):
    """Writes the ids into requests to the hosts on ``CLEW_PROPAGATE_TO``, and to nobody else.

    The host is read off the span of the request, which is current while its headers are written:
    without an instrumentation of the HTTP client, or where the span is not sampled, nothing is
    written. What a model call sends carries no id, wherever it goes, and what goes to a host that
    is not listed carries neither ``session.id`` nor ``user.id`` in this header, whoever has put
    them there.

    Reads the ids of a request that comes in where ``CLEW_TRUST_INBOUND`` is set. What the
    application itself says of the request, in a middleware or in a block, counts more.

    Among several propagators it comes last: OpenTelemetry's ``baggage`` overwrites the header.
    """

    def __init__(self) -> None:
        self.active = True
        """False after ``uninstrument_all()``, where nothing else can take it out."""
        watch_model_calls()
        if settings.PROPAGATE_TO.read():
            guard()

    @property
    def fields(self) -> set[str]:
        """The headers that are written."""
        return {w3c_baggage.HEADER}

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write the ids that *context* carries into *carrier*, if they may go where it goes."""
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
        """Return *context* with the ids that *carrier* brings, if they are to be believed."""
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
    found = standing(carrier)
    if found is None:
        return  # Headers that cannot be read would be overwritten.
    match destination_of(get_current_span(context), settings.PROPAGATE_TO.read()):
        case Destination.LISTED:
            header = _with_ids(_without_ours(found.text), context)
        case Destination.MODEL | Destination.STRANGER:
            header = _without_ids(found.text)
    _put(carrier, found, header, setter)


def withdraw(headers: Any, url: object) -> None:
    """Take the ids out of *headers*, by their keys, unless *url* is on a listed host."""
    found = standing(headers)
    if found is None or not found.text:
        return
    if destination_at(url, settings.PROPAGATE_TO.read()) is not Destination.LISTED:
        _put(headers, found, _without_ids(found.text), default_setter)


_guards: list[Patches] = []
_lock = RLock()


def _begin_anew() -> None:
    global _lock  # A thread of the parent's may hold it, which is not here
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def guard() -> None:
    """Watch redirects, and let gRPC say whom it calls."""
    with _lock:
        if not _guards:
            _guards.extend((guarded(withdraw), addressed()))


def unguard() -> None:
    """Take back what `guard` has put on."""
    with _lock:
        while _guards:
            _guards.pop().undo()


def _put(carrier: Any, found: Standing, header: str, setter: Setter[Any]) -> None:
    if header != found.text:
        replace(carrier, found, header, setter)


def _with_ids(header: str, context: Context | None) -> str:
    """Return *header* with the ids that are not in it, as far as there is room for them."""
    # A context that is given counts alone: another one's ids may be another customer's.
    said = (carried() if context is None else Held(context).run(carried)).attributes
    present = {w3c_baggage.key_of(member) for member in w3c_baggage.members_of(header)}
    added = []
    for key in IDS:
        value = said.get(key)
        if key not in present and isinstance(value, str):
            added.append(w3c_baggage.encode_member(key, value))
            if key == USER_ID and isinstance(value, Pseudonym):
                added.append(w3c_baggage.encode_member(PSEUDONYM, USER_ID))
    ours = w3c_baggage.join(*added)
    longer = w3c_baggage.join(header, ours)
    if len(longer.encode("utf-8", "surrogatepass")) > w3c_baggage.MAX_BYTES:
        counters.count("ids for which a request's baggage has no room")
        return header
    if ours:
        guard()
        _remember(ours)
    return longer


def _without_ids(header: str) -> str:
    members = w3c_baggage.members_of(header)
    kept = [member for member in members if w3c_baggage.key_of(member) not in KEYS]
    return header if len(kept) == len(members) else w3c_baggage.join(*kept)


# A client that sends a request to a listed host again starts from the headers that were sent
# before. What was written into them here is told from what the application has written by its
# text. Hosts that are not listed do not depend on this memory: the ids in what goes there are
# taken out by their keys.
_written: OrderedDict[str, None] = OrderedDict()
_MAX_WRITTEN = 1024


def _remember(ours: str) -> None:
    with _lock:
        _written[ours] = None
        _written.move_to_end(ours)
        if len(_written) > _MAX_WRITTEN:
            _written.popitem(last=False)


def _without_ours(header: str) -> str:
    """Return *header* as it was before the ids were added to its end."""
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
    if isinstance(headers, str | bytes):  # A getter of the application's own.
        headers = [headers]
    # OpenTelemetry's `baggage` would send them on to whomever this service calls.
    for key in KEYS:
        if key in get_all(context):
            context = remove_baggage(key, context)
    if not settings.TRUST_INBOUND.read():
        return context
    current = get_current()
    if IN_A_BODY in current:
        current = as_it_applies(current)
    said = {key for key in IDS for it in (context, current) if it.get(key) is not None}
    ids = _ids_in([_wire(header) for header in headers], {*IDS} - said)
    if not ids:
        return context
    identity = Identity(session_id=ids.get(SESSION_ID), user_id=ids.get(USER_ID))
    return Context({**entered(context, identity), INBOUND: ids})


def _ids_in(headers: list[bytes], wanted: AbstractSet[str]) -> dict[str, str]:
    """Return the ids of *headers* that can be used; others are dropped and counted."""
    read = w3c_baggage.read(headers, KEYS)
    ids: dict[str, str] = {}
    for key in wanted:
        found = w3c_baggage.single_value(read[key])
        if found is not None and (usable := admitted_id(found)) is not None:
            ids[key] = usable
    if USER_ID in ids:
        given = Pseudonym(ids[USER_ID]) if USER_ID in read[PSEUDONYM] else ids[USER_ID]
        ids[USER_ID] = pseudonymised(given)
    return ids


def _wire(header: object) -> bytes:
    if isinstance(header, bytes):
        return header
    return str(header).encode("utf-8", "surrogatepass")
