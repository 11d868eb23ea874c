"""Reads what an instrumentor will say of a call only at its end, as its configuration shows it."""

from collections.abc import Mapping
from typing import Any

from clew.spans.model_calls import shared_attributes


def masked_facts(span: Any, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shared attributes among *attributes* as OpenInference's *span* would show them."""
    from openinference.instrumentation import config  # Not by importing clew

    own = span._self_config  # There is no other way to it
    # Masking may upload a picture, which the span does itself when it ends.
    mask = getattr(config, "mask_without_externalization", type(own).mask)
    shown = {key: mask(own, key, value) for key, value in shared_attributes(attributes).items()}
    return {key: value for key, value in shown.items() if value is not None}
