"""Where spans go: the store, whose acknowledgements are noted, and exporters that hang or fail."""

import os
import random
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from clew.export import default_provider
from clew.export.delivery_processor import Delivery
from clew.export.store_exporter import StoreExporter

if TYPE_CHECKING:
    from soak.orders import Orders

_SCHEDULE_MILLIS = 500.0


class NotedStore(StoreExporter):
    """Notes each span that it has said is written, in a file of its process."""

    folder: Path
    """Where the files of notes are; set before the first one is made."""
    forgets = False
    """A defect: whether some spans are acknowledged and not written."""

    def export(self, spans: Any) -> Any:
        """Write *spans* as the exporter does, and note them when that has succeeded."""
        written = [it for it in spans if it.context.span_id % 50] if self.forgets else spans
        result = super().export(written)
        with (self.folder / f"written-{os.getpid()}").open("a", encoding="ascii") as file:
            file.writelines(map(_line, spans))
        return result


def _line(span: Any) -> str:
    session = span.attributes.get("session.id", "")
    return f"{span.context.trace_id:032x} {span.context.span_id:016x} {session}\n"


class Failing(SpanExporter):
    """Fails now and then, in each way in which exporters do."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def export(self, spans: Any) -> SpanExportResult:
        match self._rng.randrange(4):
            case 0:
                raise ConnectionError
            case 1:
                return SpanExportResult.FAILURE
            case _:
                return SpanExportResult.SUCCESS


class Hanging(SpanExporter):
    """Hangs now and then, for seconds."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def export(self, spans: Any) -> SpanExportResult:
        if self._rng.random() < 0.3:
            Event().wait(self._rng.random() * 5)
        return SpanExportResult.SUCCESS


def prepare(orders: "Orders") -> None:
    """Have the spans that clew's own provider exports noted, and those of ours."""
    NotedStore.folder = Path(orders.notes)
    NotedStore.forgets = orders.defect == "store"
    default_provider.StoreExporter = NotedStore
    os.environ["CLEW_STORE"] = orders.store
    os.environ["CLEW_STORE_MAX_MB"] = "100000"  # What clew deletes by itself is tested elsewhere.


def provider_of_the_application(orders: "Orders") -> TracerProvider | None:
    """Make and set the application's provider, as the role of the process says; or leave it."""
    store, rng = NotedStore(Path(orders.store)), random.Random(f"{orders.seed}/{orders.number}")
    exporters: list[SpanExporter] = [store]
    match orders.role:
        case "plain":
            return None  # clew makes one.
        case "flapping":
            exporters.append(Failing(rng))
        case "small disk":
            exporters.append(Hanging(rng))
    provider = TracerProvider()
    if orders.role == "batch":
        provider.add_span_processor(
            BatchSpanProcessor(store, schedule_delay_millis=_SCHEDULE_MILLIS)
        )
    else:
        provider.add_span_processor(Delivery(exporters))
    trace.set_tracer_provider(provider)
    return provider
