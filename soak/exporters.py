"""Where spans go: the store, whose acknowledgements are noted, and exporters that hang or fail."""

import os
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from clew.export.delivery_processor import Delivery
from clew.export.store_exporter import StoreExporter


class NotedStore(StoreExporter):
    """Notes each span that it has said is written, in a file of its process."""

    def __init__(self, path: Path, folder: Path, *, forgets: bool = False) -> None:
        super().__init__(path)
        self._folder = folder
        self._forgets = forgets

    def export(self, spans: Any) -> Any:
        written = spans
        if self._forgets:  # A defect: some are acknowledged and not written.
            written = [span for span in spans if span.context.span_id % 100]
        result = super().export(written)
        with (self._folder / f"written-{os.getpid()}").open("a", encoding="ascii") as file:
            file.writelines(f"{_line(span)}\n" for span in spans)
        return result


def _line(span: Any) -> str:
    session = span.attributes.get("session.id", "")
    return f"{span.context.trace_id:032x} {span.context.span_id:016x} {session}"


def set_up_export(orders: Any, model: Any) -> TracerProvider:
    """Make and set the tracer provider of this process."""
    provider = TracerProvider()
    provider.add_span_processor(model)
    store = NotedStore(
        Path(orders.store), Path(orders.folder), forgets=orders.defect == "store"
    )
    provider.add_span_processor(Delivery([store]))
    trace.set_tracer_provider(provider)
    return provider
