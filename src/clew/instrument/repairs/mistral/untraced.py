"""Mistral: half of the SDK's methods are not traced.

Upstream makes spans for chats and agents only: none for fill-in-the-middle, embeddings,
conversations, OCR, moderation, classification and transcription. The repair makes them, with
upstream's own tracer.
"""

from collections.abc import Callable
from typing import Any

from clew.instrument.record.endpoint_spans import trace_endpoints
from clew.instrument.record.mistral import ENDPOINTS, MISTRAL

MADE_FOR = ("openinference-instrumentation-mistralai>=2.2.2,<3", "mistralai>=2,<4")


def repair(instrumentor: Any) -> Callable[[], None]:
    """Make spans for these methods as well."""
    return trace_endpoints(ENDPOINTS, MISTRAL, instrumentor._tracer)
