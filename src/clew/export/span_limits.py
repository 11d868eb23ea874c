"""The limits on what a span holds, from the OTEL_*_LIMIT variables, for a provider that clew makes.

OpenTelemetry's SDK raises an error over one that is not a number. Here it is logged once, and the
default is used, as with every other variable. Nothing can be done about a wrong
OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: with it the SDK cannot be imported. ``clew doctor`` reads this
module even then, so nothing of the SDK is imported at module level here.
"""

import os
from typing import TYPE_CHECKING

from opentelemetry.sdk.environment_variables import (
    OTEL_ATTRIBUTE_COUNT_LIMIT,
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT,
    OTEL_LINK_ATTRIBUTE_COUNT_LIMIT,
    OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT,
    OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_SPAN_EVENT_COUNT_LIMIT,
    OTEL_SPAN_LINK_COUNT_LIMIT,
)

from clew.core.settings import log_once

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanLimits

MAX_ATTRIBUTES = 10_000
"""OpenInference's own limit; the SDK's 128 are too few for a conversation."""

_SDKS_DEFAULT = 128
_MAX_DIGITS = 9
_NONE = -1
"""No limit; `SpanLimits` names it UNSET."""
_ARGUMENTS = {
    OTEL_ATTRIBUTE_COUNT_LIMIT: ("max_attributes", _SDKS_DEFAULT),
    OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: ("max_span_attributes", MAX_ATTRIBUTES),
    OTEL_SPAN_EVENT_COUNT_LIMIT: ("max_events", _SDKS_DEFAULT),
    OTEL_SPAN_LINK_COUNT_LIMIT: ("max_links", _SDKS_DEFAULT),
    OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: ("max_event_attributes", _SDKS_DEFAULT),
    OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: ("max_link_attributes", _SDKS_DEFAULT),
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: ("max_attribute_length", _NONE),
    OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: ("max_span_attribute_length", _NONE),
}
"""For each variable the argument of `SpanLimits` that overrides it, and the default."""

LIMITS = tuple(_ARGUMENTS)


def span_limits() -> "SpanLimits":
    """Return the limits for the spans of a provider that clew makes."""
    from opentelemetry.sdk.trace import SpanLimits

    limits = {}
    for variable, (argument, default) in _ARGUMENTS.items():
        text = os.environ.get(variable)
        if text is not None and (fault := limit_fault(text)):
            limits[argument] = default
            if text.strip():
                default_text = "no limit" if default == _NONE else default
                log_once(
                    variable,
                    text,
                    f"{variable}={text!r} cannot be used: {fault}. "
                    f"The default is used: {default_text}",
                )
    if not attributes_are_limited():
        limits["max_span_attributes"] = MAX_ATTRIBUTES
    return SpanLimits(**limits)


def attributes_are_limited() -> bool:
    """Whether the environment limits how many attributes a span may have."""
    names = (OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT, OTEL_ATTRIBUTE_COUNT_LIMIT)
    texts = filter(None, (os.environ.get(name, "").strip() for name in names))
    return any(limit_fault(text) is None for text in texts)


def limit_fault(text: str) -> str | None:
    """Return why the SDK does not accept *text* as a limit; None if it does."""
    text = text.strip().lower()
    try:
        is_valid = text == "unset" or int(text) >= 0
    except ValueError:
        is_valid = False
    return None if is_valid else "give a whole number, 0 or more"


def number_fault(text: str) -> str | None:
    """Return why *text* cannot be the size or the delay of a queue; None if it can."""
    is_valid = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text)
    return None if is_valid else "give a whole number, 1 or more"
