"""Reads spans from the files that clew, the OpenTelemetry Collector, Phoenix and Langfuse write."""

from clew.store.formats.reading import FormatError, Unusable, read_spans

__all__ = ["FormatError", "Unusable", "read_spans"]
