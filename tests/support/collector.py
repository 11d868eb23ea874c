"""An OpenTelemetry collector on loopback: OTLP over HTTP, as protobuf."""

from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.http_receiver import HttpReceiver


class Collector(HttpReceiver):
    """Keeps every span that is sent to it."""

    def exports(self) -> list[ExportTraceServiceRequest]:
        """Return the exports received so far."""
        return [ExportTraceServiceRequest.FromString(it.body) for it in list(self.requests)]

    def spans(self) -> list[Any]:
        """Return the spans received so far."""
        return list(spans_of(self.exports()))


def spans_of(exports: Iterable[ExportTraceServiceRequest]) -> Iterator[Any]:
    """Yield the spans in *exports*, which are protobuf messages too."""
    for export in exports:
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                yield from scope.spans
