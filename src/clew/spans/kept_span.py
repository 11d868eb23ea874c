"""KeptSpan: a span that keeps its ids, tags and metadata until it ends.

A span's class is exchanged for a subclass that does three things. An instrumentor cannot overwrite
an id (LangGraph's ``thread_id`` would); the application can. An id that the SDK's attribute limit
has evicted is set again when the span ends. And a user id is replaced by its pseudonym, if
pseudonyms are on.
"""

import sys
from collections.abc import Mapping
from functools import lru_cache
from types import FrameType
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.util.types import AttributeValue

from clew.context.api import echoed, same
from clew.context.identity import (
    CARRIED,
    IDS,
    SESSION_ID,
    USER_ID,
    Carried,
    admitted_id,
    pseudonymised,
)
from clew.core.backend_names import GENAI_OPERATIONS, GENAI_SPAN_KINDS, Alias
from clew.core.containment import contain

_INSTRUMENTORS = "openinference.instrumentation"
_SPAN_PROXY = "openinference.instrumentation._spans"
_CARRIED = frozenset(CARRIED)


def keep(span: Span, carried: Carried, aliases: tuple[Alias, ...] = ()) -> None:
    """Make *span* a `KeptSpan`, which keeps what it carries until it ends."""
    try:
        span.__class__ = _kept_class(type(span), aliases)
    except TypeError:  # Not the SDK's own class, so the attributes from its start have to do.
        span.set_attributes(_alias_attributes(aliases, carried.attributes, span))
    else:
        span._clew = carried  # type: ignore[attr-defined]  # noqa: SLF001 - it is a KeptSpan now


def written_by_an_instrumentor() -> bool:
    """Whether OpenInference's code is setting the attribute, not the application's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module != _SPAN_PROXY and not module.startswith(("clew.", "opentelemetry.")):
            return module == _INSTRUMENTORS or module.startswith(_INSTRUMENTORS + ".")
        frame = frame.f_back
    return False


def _value_to_set(carried: Carried, key: str, value: Any) -> Any:
    """Return what to write when *key* is set to *value*, or None to change nothing."""
    known = None if key in carried.inherited else carried.attributes.get(key)
    if same(value, known):
        return None
    if written_by_an_instrumentor():
        # It reads the current context as the span ends, which may be another session's by then.
        is_echo = echoed(key, value)
        if key in IDS and (is_echo or known is not None):
            return None
        if is_echo and known is not None:
            return None
        if key in IDS and (value := admitted_id(value)) is None:
            return None
    return pseudonymised(value) if key == USER_ID else value


class KeptSpan(Span):
    """Added to the class of a span that has ids."""

    _clew: Carried
    clew_aliases: tuple[Alias, ...] = ()

    @property
    def clew_kept(self) -> Mapping[str, AttributeValue]:
        """The attributes that the span carries, including those that the limit has evicted."""
        return self._clew.attributes

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute; an instrumentor cannot overwrite an id."""
        if key not in _CARRIED:
            super().set_attribute(key, value)
            return
        try:
            carried = self._clew
            value = _value_to_set(carried, key, value)
            if value is None:
                return
            kept = {**carried.attributes, key: value}
            self._clew = Carried(kept, carried.inherited - {key})
        except Exception:
            contain("setting an attribute")
        # In older SDKs, super().set_attribute calls set_attributes of this class, which calls this.
        super().set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set several attributes; an instrumentor cannot overwrite an id."""
        if _CARRIED.isdisjoint(attributes):
            super().set_attributes(attributes)
            return
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def end(self, end_time: int | None = None) -> None:
        """Set again what the attribute limit has evicted, then end the span."""
        if (self.dropped_attributes or self.clew_aliases) and self.is_recording():
            try:
                _set_last(self)
            except Exception:
                contain("ending a span")
        super().end(end_time)


def _set_last(span: KeptSpan) -> None:
    """Set the ids under their other names, and all kept attributes if the limit has evicted any.

    All, because setting a missing one evicts the oldest, which may be the next one to set; the ids
    come last, so that they are the newest.
    """
    kept = span.clew_kept
    last = _alias_attributes(span.clew_aliases, kept, span)
    if span.dropped_attributes or last:
        last |= {key: kept[key] for key in CARRIED if key in kept}
        Span.set_attributes(span, last)


def _alias_attributes(
    aliases: tuple[Alias, ...], kept: Mapping[str, AttributeValue], span: ReadableSpan
) -> dict[str, AttributeValue]:
    """Return the ids under the names that the *aliases* give them."""
    attributes: dict[str, AttributeValue] = {}
    for alias in aliases:
        if alias.genai_only and not _is_genai(span.attributes or {}):
            continue
        if SESSION_ID in kept:
            attributes[alias.session] = kept[SESSION_ID]
        if alias.user and USER_ID in kept:
            attributes[alias.user] = kept[USER_ID]
    return attributes


def _is_genai(attributes: Mapping[str, Any]) -> bool:
    return (
        attributes.get("openinference.span.kind") in GENAI_SPAN_KINDS
        or attributes.get("gen_ai.operation.name") in GENAI_OPERATIONS
    )


def add_class(span: Span, added: type[KeptSpan]) -> None:
    """Make *span*, which is a `KeptSpan`, an instance of the class *added* as well."""
    span.__class__ = _combined_class(type(span), added)


@lru_cache(maxsize=64)
def _combined_class(span_class: type[Span], added: type[KeptSpan]) -> type[Span]:
    return type(span_class.__name__, (added, span_class), {"__module__": span_class.__module__})


@lru_cache(maxsize=64)
def _kept_class(span_class: type[Span], aliases: tuple[Alias, ...]) -> type[Span]:
    namespace = {"__module__": span_class.__module__, "clew_aliases": aliases}
    return type(span_class.__name__, (KeptSpan, span_class), namespace)
