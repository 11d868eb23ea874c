"""Receives the spans of other products on loopback, and reads them.

Each receiver is a context manager with the ``url`` that a product is given, and returns what
arrived as `Received`, whatever format it arrived in.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, Self

from tests.support.collector import Collector, spans_of
from tests.support.http_receiver import HttpReceiver


@dataclass(frozen=True)
class Received:
    """One span as it arrived."""

    name: str
    span_id: str
    attributes: Mapping[str, Any]

    @property
    def kind(self) -> str | None:
        """Return OpenInference's kind of the span, None for spans of other instrumentations."""
        return self.attributes.get("openinference.span.kind")


class Receiver(Protocol):
    """The destination of a product's spans."""

    url: str

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def received(self) -> list[Received]:
        """Return the spans received so far."""


def _from_otlp(spans: Iterable[Any]) -> list[Received]:
    return [
        Received(
            span.name,
            span.span_id.hex(),
            {it.key: it.value.string_value for it in span.attributes},
        )
        for span in spans
    ]


class OtlpOverHttp(Collector):
    """Takes OpenTelemetry's protocol over HTTP, as most products send it."""

    def received(self) -> list[Received]:
        """Return the spans received so far."""
        return _from_otlp(self.spans())


class LogfireBackend(OtlpOverHttp):
    """Takes what Logfire sends, which announces each span when it starts by a pending one."""

    def received(self) -> list[Received]:
        """Return the spans received so far, without those that announce one."""
        received = super().received()
        return [it for it in received if it.attributes.get("logfire.span_type") != "pending_span"]


class OtlpOverGrpc:
    """Takes OpenTelemetry's protocol over gRPC, as Arize sends it."""

    def __init__(self) -> None:
        import grpc
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as wire

        self._exports: list[Any] = []

        def export(request: Any, _: Any) -> Any:
            self._exports.append(request)
            return wire.ExportTraceServiceResponse()

        method = grpc.unary_unary_rpc_method_handler(
            export,
            request_deserializer=wire.ExportTraceServiceRequest.FromString,
            response_serializer=wire.ExportTraceServiceResponse.SerializeToString,
        )
        service = "opentelemetry.proto.collector.trace.v1.TraceService"
        self._server = grpc.server(ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {"Export": method})]
        )
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def received(self) -> list[Received]:
        """Return the spans received so far."""
        return _from_otlp(spans_of(self._exports))


class SentryEnvelopes(HttpReceiver):
    """Takes Sentry's envelopes: a transaction, which is the first span, and the spans below it."""

    def received(self) -> list[Received]:
        """Return the spans received so far."""
        return [span for it in self.requests for span in self._in_envelope(it.body)]

    def _in_envelope(self, body: bytes) -> Iterator[Received]:
        lines = [json.loads(line) for line in body.splitlines() if line]
        for header, item in pairwise(lines):
            if header.get("type") == "transaction":
                contexts = item["contexts"]
                span_id = contexts["trace"]["span_id"]
                yield Received(item["transaction"], span_id, contexts["otel"]["attributes"])
                for span in item["spans"]:
                    yield Received(span["description"], span["span_id"], span["data"])


class DatadogAgent(HttpReceiver):
    """Takes what ddtrace sends to Datadog's agent: traces of spans in msgpack."""

    def received(self) -> list[Received]:
        """Return the spans received so far."""
        import msgpack

        return [
            Received(span["resource"], f"{span['span_id']:016x}", span["meta"])
            for request in self.requests
            if request.path == "/v0.4/traces"
            for trace in msgpack.unpackb(request.body)
            for span in trace
        ]


class MlflowFiles:
    """Has MLflow write its traces into a directory."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        # Not the directory itself: MLflow sets up only what is not there yet.
        self.url = f"file://{self._directory.name}/traces"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def received(self) -> list[Received]:
        """Return the spans written so far."""
        return [
            Received(span["name"], span["span_id"], span["attributes"])
            for file in Path(self._directory.name).rglob("traces.json")
            for span in json.loads(file.read_text())["spans"]
        ]
