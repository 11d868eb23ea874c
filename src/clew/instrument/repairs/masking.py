"""Reads attributes that an instrumentor sets only when the span ends, masked as it would."""

from collections.abc import Mapping
from typing import Any

from clew.spans.model_calls import shared_attributes


def masked_facts(span: Any, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes to share among *attributes*, masked as OpenInference's *span* would."""
    from openinference.instrumentation import config  # Here, as `import clew` must not import it

    trace_config = span._self_config  # OpenInference offers no public way
    # Plain `mask` may upload an image, which the span itself does when it ends.
    mask = getattr(config, "mask_without_externalization", type(trace_config).mask)
    masked = {
        key: mask(trace_config, key, value) for key, value in shared_attributes(attributes).items()
    }
    return {key: value for key, value in masked.items() if value is not None}
