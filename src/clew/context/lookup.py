"""Finds the ids and other attributes of a span: in its context, its parent span, or the default."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context, get_current
from opentelemetry.trace import get_current_span
from opentelemetry.util.types import AttributeValue

from clew.context.blocks import OPEN_BODIES, resolve_context
from clew.context.identity import encodable
from clew.context.ids import (
    CONTEXT_KEYS,
    IDS,
    SESSION_ID,
    USER_ID,
    FoundAttributes,
    default_ids,
    id_attributes,
)
from clew.context.request import pending_request, with_request_context

ISOLATED = "clew.isolated"
"""The context key that is set inside ``isolated()``: nothing is inherited there."""

_OTHER_KEYS = tuple(key for key in CONTEXT_KEYS if key not in IDS)
_OTHER_KEYS_SET = frozenset(_OTHER_KEYS)
_CONTEXT_KEYS_SET = frozenset(CONTEXT_KEYS)


def find_attributes(parent_context: Context | None = None) -> FoundAttributes:
    """Return the attributes of a span that is started now, under *parent_context*.

    The context given to ``start_span`` counts most, then the current one, then the local parent
    span, which may have been given an id by ``set_attribute`` alone, then the process's default.
    """
    context = get_current()
    if pending_request() is not None:
        context = with_request_context(context)
    if OPEN_BODIES in context:
        context = resolve_context(context)
    if parent_context is not None and parent_context is not context:
        context = _merged(context, parent_context)
    found = _find_ids(context)
    if _OTHER_KEYS_SET.isdisjoint(context):
        return found
    others = {key: _encodable(context[key]) for key in _OTHER_KEYS if context.get(key) is not None}
    # The ids come last: see CONTEXT_KEYS.
    return found._replace(attributes={**others, **found.attributes})


def ids_in(context: Context) -> Mapping[str, AttributeValue]:
    """Return the ids in *context*, or of the span in it, whatever the current context holds."""
    if OPEN_BODIES in context:
        context = resolve_context(context)
    return _find_ids(context).attributes


def _find_ids(context: Context) -> FoundAttributes:
    try:
        found = id_attributes(context.get(SESSION_ID), context.get(USER_ID))
    except TypeError:  # A value that cannot be hashed cannot be cached.
        found = id_attributes.__wrapped__(context.get(SESSION_ID), context.get(USER_ID))
    if len(found.attributes) < len(IDS) and ISOLATED not in context:
        found = _with_default_ids(_with_parent_ids(found, context))
    return found


def _merged(current: Context, given: Context) -> Context:
    """Return *given* with the context attributes that only *current* has."""
    if ISOLATED in given:
        return given
    attributes = {key: value for key, value in current.items() if key in _CONTEXT_KEYS_SET}
    return Context({**attributes, **given}) if attributes else given


def _with_parent_ids(own: FoundAttributes, context: Context) -> FoundAttributes:
    parent = get_current_span(context)
    # The SDK may evict an attribute of a span, but nothing from `clew_kept`.
    attributes = getattr(parent, "clew_kept", None) or getattr(parent, "attributes", None) or {}
    wanted = [None if key in own.attributes else attributes.get(key) for key in IDS]
    try:
        found = id_attributes(*wanted)
    except TypeError:  # As above.
        found = id_attributes.__wrapped__(*wanted)
    if not (found.attributes or found.unusable):
        return own
    attributes = {**own.attributes, **found.attributes}
    return FoundAttributes(attributes, frozenset(found.attributes), own.unusable + found.unusable)


def _with_default_ids(found: FoundAttributes) -> FoundAttributes:
    default = default_ids().attributes
    missing = default.keys() - found.attributes.keys()
    if not missing:
        return found
    attributes = {**default, **found.attributes}
    return FoundAttributes(attributes, found.inherited | missing, found.unusable)


def _encodable(value: Any) -> AttributeValue:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list | tuple):
        return [encodable(item) if isinstance(item, str) else item for item in value]
    usable: AttributeValue = value
    return usable


def is_same(one: object, other: object) -> bool:
    """Whether two values are the same text or object; comparing other values may raise."""
    return one is other or (isinstance(one, str) and isinstance(other, str) and one == other)


def is_in_current_context(key: str, value: object) -> bool:
    """Whether *value* is the current context's: OpenInference's code may have copied it."""
    return is_same(get_current().get(key), value)
