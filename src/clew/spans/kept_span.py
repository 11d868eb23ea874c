"""KeptSpan: a span that holds on to what it carries until it ends.

A span's class is exchanged for a subclass that knows three more things. An instrumentor cannot
overwrite an id (LangGraph's ``thread_id`` would); the application can. An id that the SDK's
attribute limit evicted is written again when the span ends. And a user id never leaves without
its pseudonym, where those are on.
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


def keep(span: Span, found: Carried, aliases: tuple[Alias, ...] = ()) -> None:
    """Make *span* hold on to what it carries."""
    try:
        span.__class__ = _kept_class(type(span), aliases)
    except TypeError:  # A span class of another make: what it was given at its start has to do.
        span.set_attributes(_aliased(aliases, found.attributes, span))
    else:
        span._clew = found  # type: ignore[attr-defined]  # noqa: SLF001 - it is a KeptSpan now


def written_by_an_instrumentor() -> bool:
    """Whether the attribute being set comes from OpenInference's code, not the application's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module != _SPAN_PROXY and not module.startswith(("clew.", "opentelemetry.")):
            return module == _INSTRUMENTORS or module.startswith(_INSTRUMENTORS + ".")
        frame = frame.f_back
    return False


def _admitted(found: Carried, key: str, value: Any) -> Any:
    """Return what to write when *key* is set to *value*, or None to leave all as it is."""
    known = None if key in found.inherited else found.attributes.get(key)
    if same(value, known):
        return None
    if written_by_an_instrumentor():
        # Read off the context when the span ends, which may be another session's by then.
        echo = echoed(key, value)
        if key in IDS and (echo or known is not None):
            return None
        if echo and known is not None:
            return None
        if key in IDS and (value := admitted_id(value)) is None:
            return None
    return pseudonymised(value) if key == USER_ID else value


class KeptSpan(Span):
    """What the class of a stamped span adds to it."""

    _clew: Carried
    clew_aliases: tuple[Alias, ...] = ()

    @property
    def clew_kept(self) -> Mapping[str, AttributeValue]:
        """What the span carries, whatever the attribute limit has evicted meanwhile."""
        return self._clew.attributes

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute; an instrumentor cannot overwrite an id."""
        if key not in _CARRIED:
            super().set_attribute(key, value)
            return
        try:
            found = self._clew
            value = _admitted(found, key, value)
            if value is None:
                return
            kept = {**found.attributes, key: value}
            self._clew = Carried(kept, found.inherited - {key})
        except Exception:
            contain("setting an attribute")
        # Not by the method for one attribute, which in older SDKs calls that for several: this one.
        super().set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set several attributes; an instrumentor cannot overwrite an id."""
        if _CARRIED.isdisjoint(attributes):
            super().set_attributes(attributes)
            return
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def end(self, end_time: int | None = None) -> None:
        """Write what the attribute limit evicted, then end the span."""
        if (self.dropped_attributes or self.clew_aliases) and self.is_recording():
            try:
                _settle(self)
            except Exception:
                contain("ending a span")
        super().end(end_time)


def _settle(span: KeptSpan) -> None:
    """Write the ids under their other names, and all again where the limit has evicted any.

    All, because writing one that is missing evicts the oldest, which may be the next; the ids come
    last, so that they are the newest.
    """
    kept = span.clew_kept
    last = _aliased(span.clew_aliases, kept, span)
    if span.dropped_attributes or last:
        last |= {key: kept[key] for key in CARRIED if key in kept}
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


def take_on(span: Span, role: type[KeptSpan]) -> None:
    """Let *span*, which is kept, be a *role* as well."""
    span.__class__ = _in_role(type(span), role)


@lru_cache(maxsize=64)
def _in_role(span_class: type[Span], role: type[KeptSpan]) -> type[Span]:
    return type(span_class.__name__, (role, span_class), {"__module__": span_class.__module__})


@lru_cache(maxsize=64)
def _kept_class(span_class: type[Span], aliases: tuple[Alias, ...]) -> type[Span]:
    described = {"__module__": span_class.__module__, "clew_aliases": aliases}
    return type(span_class.__name__, (KeptSpan, span_class), described)
