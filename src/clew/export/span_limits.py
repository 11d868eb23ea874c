"""The limits on what a span holds, as the OTEL_*_LIMIT variables say, where clew makes a provider.

OpenTelemetry's SDK raises over one that is not a number. Here it is logged once, and the default
is used, as with every other variable. OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT is beyond help: with a wrong
one the SDK cannot be imported, by anybody. ``clew doctor`` reads this module also where that is
so, which is why nothing of the SDK is imported at module level here.
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
"""OpenInference's own limit; the SDK's 128 cannot hold a conversation."""

_SDKS_DEFAULT = 128
_MOST_DIGITS = 9
_NONE = -1
"""What `SpanLimits` calls UNSET: no limit."""
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
"""For each variable the argument of `SpanLimits` that counts more, and the default."""

LIMITS = tuple(_ARGUMENTS)


def span_limits() -> "SpanLimits":
    """Return the limits for the spans of a provider that clew makes."""
    from opentelemetry.sdk.trace import SpanLimits

    given = {}
    for variable, (argument, default) in _ARGUMENTS.items():
        text = os.environ.get(variable)
        if text is not None and (fault := limit_fault(text)):
            given[argument] = default
            if text.strip():
                shown = "no limit" if default == _NONE else default
                log_once(
                    variable,
                    text,
                    f"{variable}={text!r} cannot be used: {fault}. The default is used: {shown}",
                )
    if not attributes_are_limited():
        given["max_span_attributes"] = MAX_ATTRIBUTES
    return SpanLimits(**given)


def attributes_are_limited() -> bool:
    """Whether the environment says how many attributes a span may have."""
    names = (OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT, OTEL_ATTRIBUTE_COUNT_LIMIT)
    texts = filter(None, (os.environ.get(name, "").strip() for name in names))
    return any(limit_fault(text) is None for text in texts)


def limit_fault(text: str) -> str | None:
    """Return why the SDK does not take *text* for a limit; None where it does."""
    text = text.strip().lower()
    try:
        good = text == "unset" or int(text) >= 0
    except ValueError:
        good = False
    return None if good else "give a whole number, 0 or more"


def number_fault(text: str) -> str | None:
    """Return why *text* cannot be a size or a delay of the delivery; None where it can."""
    good = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text)
    return None if good else "give a whole number, 1 or more"
