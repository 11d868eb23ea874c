"""Mistral: half of what its SDK can call is not traced.

Upstream makes spans for chats and agents only: none for filling in, embeddings, conversations, OCR,
moderations, classifications and transcriptions. The repair makes them, with upstream's own tracer.
"""

from collections.abc import Callable
from typing import Any

from clew.instrument.record.endpoint_spans import record
from clew.instrument.record.mistral import ENDPOINTS, MISTRAL

MADE_FOR = ("openinference-instrumentation-mistralai>=2.2.2,<3", "mistralai>=2,<4")


def repair(instrumentor: Any) -> Callable[[], None]:
    """Make spans of these calls as well."""
    return record(ENDPOINTS, MISTRAL, instrumentor._tracer)
