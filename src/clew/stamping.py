"""IdentityProcessor: from the context to the attributes, on every span of every library.

A span is stamped when it starts, and then kept: its class is exchanged for a subclass that knows
three more things. An instrumentor cannot overwrite an id (LangGraph's ``thread_id`` would); the
application can. An id that the SDK's attribute limit evicted is written again when the span ends.
And a user id never leaves without its pseudonym, where those are on.
"""

import sys
from collections.abc import Mapping
from functools import lru_cache
from types import FrameType
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.util.types import AttributeValue

from clew.aliases import GENAI_OPERATIONS, GENAI_SPAN_KINDS, Alias
from clew.boundary import contain
from clew.context import Carried, carried, echoed, same
from clew.identity import CARRIED, IDS, SESSION_ID, USER_ID, Pseudonym, admitted_id, pseudonymised

_INSTRUMENTORS = "openinference.instrumentation"
_SPAN_PROXY = "openinference.instrumentation._spans"
_IDS = frozenset(IDS)
_CARRIED = frozenset(CARRIED)


class IdentityProcessor(SpanProcessor):
    """Stamps every span of the tracer provider that it is added to."""

    def __init__(self, aliases: tuple[Alias, ...] = ()) -> None:
        self.aliases = aliases
        self.active = True
        """False after ``uninstrument_all()``: a provider has no way to remove a processor."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stamp *span* with what its context carries."""
        if not self.active:
            return
        try:
            _stamp(span, parent_context, self.aliases)
        except Exception:  # noqa: BLE001 - the boundary to the application
            contain("stamping a span")


def _stamp(span: Span, parent_context: Context | None, aliases: tuple[Alias, ...]) -> None:
    if isinstance(span, KeptSpan):
        return  # A second processor of clew's on the same provider.
    said = span.attributes or {}
    kept, fresh, inherited = _merged(carried(parent_context), said)
    user_id = kept.get(USER_ID)
    if user_id is not None and (private := pseudonymised(user_id)) is not user_id:
        kept[USER_ID] = fresh[USER_ID] = private
    if fresh:
        span.set_attributes(fresh)
    try:
        span.__class__ = _kept_class(type(span))
    except TypeError:  # A span class of another make: what it was given at its start has to do.
        span.set_attributes(_aliased(aliases, kept, span))
        return
    span._clew = _Kept(kept, inherited, aliases)  # type: ignore[attr-defined]  # noqa: SLF001


Attributes = dict[str, AttributeValue]


def _merged(
    found: Carried, said: Mapping[str, AttributeValue]
) -> tuple[Attributes, Attributes, frozenset[str]]:
    """Return what the span is to keep, what of it is not *said* yet, and what is inherited.

    What a span says at its start is the application's word, which counts most, unless it is only
    what OpenInference's tracer read off the current context: `start_span` may have been given
    another one.
    """
    attributes, inherited = found
    kept = {key: said[key] for key in IDS if key in said}
    fresh: Attributes = {}
    for key, value in attributes.items():
        own = said.get(key)
        if own is None:
            kept[key] = fresh[key] = value
        elif same(own, value) or _cut_short(own, value):
            kept[key] = value
        elif echoed(key, own) and _written_by_an_instrumentor():
            kept[key] = fresh[key] = value
        else:
            kept[key] = own
            inherited -= {key}
    return kept, fresh, inherited


def _cut_short(own: object, value: object) -> bool:
    """Whether *own* is the pseudonym *value* after the SDK's limit on the length of a value."""
    return isinstance(own, str) and isinstance(value, Pseudonym) and value.startswith(own)


def _written_by_an_instrumentor() -> bool:
    """Whether the attribute being set comes from OpenInference's code, not the application's."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, and the only way
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module != _SPAN_PROXY and not module.startswith(("clew.", "opentelemetry.")):
            return module == _INSTRUMENTORS or module.startswith(_INSTRUMENTORS + ".")
        frame = frame.f_back
    return False


class _Kept:
    """What is known of a span's identity while it is open."""

    __slots__ = ("aliases", "inherited", "values")

    def __init__(
        self,
        values: dict[str, AttributeValue],
        inherited: frozenset[str],
        aliases: tuple[Alias, ...],
    ) -> None:
        self.values = values
        self.inherited = inherited
        self.aliases = aliases

    def admitted(self, key: str, value: Any) -> Any:
        """Return what to write when *key* is set to *value*, or None to leave all as it is."""
        known = None if key in self.inherited else self.values.get(key)
        if same(value, known):
            return None
        if _written_by_an_instrumentor():
            # Read off the context when the span ends, which may be another session's by then.
            echo = echoed(key, value)
            if key in _IDS and (echo or known is not None):
                return None
            if echo and known is not None:
                return None
            if key in _IDS and (value := admitted_id(value)) is None:
                return None
        if key == USER_ID:
            value = pseudonymised(value)
        self.inherited -= {key}
        self.values[key] = value
        return value


class KeptSpan(Span):
    """What the class of a stamped span adds to it."""

    _clew: _Kept

    @property
    def clew_kept(self) -> Mapping[str, AttributeValue]:
        """What the span carries, whatever the attribute limit has evicted meanwhile."""
        return self._clew.values

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute; an instrumentor cannot overwrite an id."""
        if key in _CARRIED:
            try:
                value = self._clew.admitted(key, value)
            except Exception:  # noqa: BLE001 - the boundary to the application
                contain("setting an attribute")
            if value is None:
                return
        super().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set several attributes; an instrumentor cannot overwrite an id."""
        if _CARRIED.isdisjoint(attributes):
            super().set_attributes(attributes)
            return
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def end(self, end_time: int | None = None) -> None:
        """Write what the attribute limit evicted, then end the span."""
        kept = self._clew
        if (self.dropped_attributes or kept.aliases) and self.is_recording():
            try:
                _settle(self, kept)
            except Exception:  # noqa: BLE001 - the boundary to the application
                contain("ending a span")
        super().end(end_time)


def _settle(span: KeptSpan, kept: _Kept) -> None:
    """Write the ids under their other names, and all again where the limit has evicted any.

    All, because writing one that is missing evicts the oldest, which may be the next; the ids come
    last, so that they are the newest.
    """
    last = _aliased(kept.aliases, kept.values, span)
    if span.dropped_attributes or last:
        last |= {key: kept.values[key] for key in CARRIED if key in kept.values}
        Span.set_attributes(span, last)


def _aliased(
    aliases: tuple[Alias, ...], kept: Mapping[str, AttributeValue], span: ReadableSpan
) -> dict[str, AttributeValue]:
    written: dict[str, AttributeValue] = {}
    for alias in aliases:
        if alias.genai_only and not _is_genai(span.attributes or {}):
            continue
        if SESSION_ID in kept:
            written[alias.session] = kept[SESSION_ID]
        if alias.user and USER_ID in kept:
            written[alias.user] = kept[USER_ID]
    return written


def _is_genai(said: Mapping[str, Any]) -> bool:
    return (
        said.get("openinference.span.kind") in GENAI_SPAN_KINDS
        or said.get("gen_ai.operation.name") in GENAI_OPERATIONS
    )


@lru_cache(maxsize=64)
def _kept_class(span_class: type[Span]) -> type[Span]:
    return type(span_class.__name__, (KeptSpan, span_class), {"__module__": span_class.__module__})
