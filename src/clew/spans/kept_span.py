"""KeptSpan: a span that keeps its ids, tags and metadata until it ends.

A span's class is exchanged, once, for a subclass that does three things. An instrumentor cannot
overwrite an id (LangGraph's ``thread_id`` would); the application can. An id that the SDK's
attribute limit has evicted is set again when the span ends. And a user id is replaced by its
pseudonym, if pseudonyms are on.

The span of a model call has the same class, and asks its call (`model_calls.ModelCall`) which
attributes it may have.
"""

import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import FrameType
from typing import Any, Protocol

from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.util.types import AttributeValue

from clew.context.ids import CONTEXT_KEYS, IDS, SESSION_ID, USER_ID, FoundAttributes, external_id
from clew.context.lookup import is_in_current_context, is_same
from clew.context.pseudonyms import pseudonymise
from clew.core.backend_names import GENAI_OPERATIONS, GENAI_SPAN_KINDS, Alias
from clew.core.containment import contain

_INSTRUMENTORS = "openinference.instrumentation"
_SPAN_PROXY = "openinference.instrumentation._spans"
_CARRIED = frozenset(CONTEXT_KEYS)


def keep(
    span: Span, carried: FoundAttributes, aliases: tuple[Alias, ...] = ()
) -> "KeptSpan | None":
    """Make *span* a `KeptSpan`, which keeps what it carries until it ends; return it.

    A span whose class is not the SDK's own cannot become one, and None is returned.
    """
    kept: Any = span
    try:
        kept.__class__ = _kept_class(type(span), aliases)
    except TypeError:  # The attributes from its start have to do.
        span.set_attributes(_alias_attributes(aliases, carried.attributes, span))
        return None
    kept.clew_carried = carried
    return kept  # type: ignore[no-any-return]  # its class has just been set


def written_by_an_instrumentor() -> bool:
    """Whether OpenInference's code is setting the attribute, not the application's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module != _SPAN_PROXY and not module.startswith(("clew.", "opentelemetry.")):
            return module == _INSTRUMENTORS or module.startswith(_INSTRUMENTORS + ".")
        frame = frame.f_back
    return False


def _value_to_set(carried: FoundAttributes, key: str, value: Any) -> Any:
    """Return what to write when *key* is set to *value*, or None to change nothing."""
    known = None if key in carried.inherited else carried.attributes.get(key)
    if value is known or is_same(value, known):
        return None
    if written_by_an_instrumentor():
        # It reads the current context as the span ends, which may be another session's by then.
        is_echo = is_in_current_context(key, value)
        if key in IDS and (is_echo or known is not None):
            return None
        if is_echo and known is not None:
            return None
        if key in IDS and (value := external_id(value)) is None:
            return None
    return pseudonymise(value) if key == USER_ID else value


CostFunction = Callable[[Mapping[str, Any]], Mapping[str, AttributeValue]]


class OwnCall(Protocol):
    """What a span asks the model call whose attributes are counted on it."""

    checked: tuple[str, ...]
    """Prefixes of the attributes that the span may not always have."""

    def attributes_to_set(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return those of *attributes* that the span may have now."""

    def finish(self) -> None:
        """Write or pass on what the span knows, as it ends."""


class KeptSpan(Span):
    """The class of a span that has ids, combined with the class that it had before."""

    clew_carried: FoundAttributes
    clew_aliases: tuple[Alias, ...] = ()
    clew_own_call: OwnCall | None = None
    """The call whose attributes are counted on this span."""
    clew_call: object = None
    """The call that it is part of; a span of any class may have one."""
    clew_cost: CostFunction | None = None
    """Returns what the span's call cost, for the attributes that it ends with."""
    clew_sets_at_end = False
    """Whether something is to be set when the span ends, even if the limit evicts nothing."""

    @property
    def clew_kept(self) -> Mapping[str, AttributeValue]:
        """The attributes that the span carries, including those that the limit has evicted."""
        return self.clew_carried.attributes

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute, if the span may have it; an instrumentor cannot overwrite an id."""
        call = self.clew_own_call
        if call is not None and key.startswith(call.checked):
            self.set_attributes({key: value})
        elif key not in _CARRIED:
            super().set_attribute(key, value)
        else:
            self._clew_set_carried(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set those that the span may have; an instrumentor cannot overwrite an id."""
        call = self.clew_own_call
        if call is None and _CARRIED.isdisjoint(attributes):
            super().set_attributes(attributes)
            return
        if call is not None:
            try:
                attributes = call.attributes_to_set(attributes)
            except Exception:
                contain("counting a model call")
        self.clew_set_attributes(attributes)

    def clew_set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set several attributes without asking the span's call."""
        if _CARRIED.isdisjoint(attributes):
            super().set_attributes(attributes)
            return
        for key, value in attributes.items():
            if key in _CARRIED:
                self._clew_set_carried(key, value)
            else:
                super().set_attributes({key: value})

    def _clew_set_carried(self, key: str, value: Any) -> None:
        try:
            carried = self.clew_carried
            value = _value_to_set(carried, key, value)
            if value is None:
                return
            kept = {**carried.attributes, key: value}
            self.clew_carried = FoundAttributes(kept, carried.inherited - {key})
        except Exception:
            contain("setting an attribute")
        # In older SDKs, super().set_attribute calls set_attributes of this class, which calls this.
        super().set_attributes({key: value})

    def clew_count(self, call: OwnCall) -> None:
        """Count the attributes of *call* on this span, which asks it from now on."""
        self.clew_own_call = call
        self.clew_sets_at_end = True

    def clew_set_cost(self, cost: CostFunction) -> None:
        """Set what *cost* returns for the attributes of the span when it ends."""
        self.clew_cost = cost
        self.clew_sets_at_end = True

    def end(self, end_time: int | None = None) -> None:
        """Set what is known only now, and what the attribute limit has evicted; end the span."""
        if (self.clew_sets_at_end or self.dropped_attributes) and self.is_recording():
            self._clew_set_at_end()
        super().end(end_time)

    def _clew_set_at_end(self) -> None:
        """Set the call's numbers, then what they cost, then the ids, so that these are newest."""
        if self.clew_own_call is not None:
            try:
                self.clew_own_call.finish()
            except Exception:
                contain("counting a model call")
        if self.clew_cost is not None:
            try:
                if cost := self.clew_cost(self.attributes or {}):
                    self.set_attributes(cost)
            except Exception:
                contain("computing the cost of a model call")
        try:
            _set_last(self)
        except Exception:
            contain("ending a span")


def _set_last(span: KeptSpan) -> None:
    """Set the ids under their other names, and all kept attributes if the limit has evicted any.

    All, because setting a missing one evicts the oldest, which may be the next one to set; the ids
    come last, so that they are the newest.
    """
    kept = span.clew_kept
    last = _alias_attributes(span.clew_aliases, kept, span)
    if span.dropped_attributes or last:
        last |= {key: kept[key] for key in CONTEXT_KEYS if key in kept}
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


@lru_cache(maxsize=64)
def _kept_class(span_class: type[Span], aliases: tuple[Alias, ...]) -> type[Span]:
    namespace = {
        "__module__": span_class.__module__,
        "clew_aliases": aliases,
        "clew_sets_at_end": bool(aliases),
    }
    return type(span_class.__name__, (KeptSpan, span_class), namespace)
