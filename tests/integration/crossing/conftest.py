"""Instrumented clients, host names that resolve to loopback, and propagators as users set them."""

import os
import socket

import pytest
from opentelemetry import context as otel
from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from clew.core import counters
from clew.propagation import http
from clew.spans.processor import IdentityProcessor
from tests.integration.crossing.clients import CLIENTS, instrumentors
from tests.integration.crossing.listener import listening

CONVENTIONS = ("", "http", "http/dup")


@pytest.fixture(scope="session")
def exporter():
    return InMemorySpanExporter()


@pytest.fixture(scope="session")
def provider(exporter):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(IdentityProcessor())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)  # gRPC's instrumentation takes no other.
    return provider


@pytest.fixture(scope="package", params=CONVENTIONS, ids=["old", "new", "both"])
def instrumented(request, provider):
    """Instrument all clients, with spans of the old HTTP conventions, the new ones, or both."""
    _OpenTelemetrySemanticConventionStability._initialized = False
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = request.param
    active = dict(instrumentors())
    for name, instrumentor in active.items():
        options = {"propagator": http.ClewPropagator()} if name == "botocore" else {}
        instrumentor.instrument(tracer_provider=provider, skip_dep_check=True, **options)
    yield set(active)
    for instrumentor in active.values():
        instrumentor.uninstrument()
    del os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"]
    _OpenTelemetrySemanticConventionStability._initialized = False


@pytest.fixture
def client(request, instrumented):
    """Return one of the clients, by its name."""
    library = request.param.split()[-1]
    if library not in instrumented:
        pytest.skip(f"{library} or its instrumentation is not installed")
    call = CLIENTS[request.param]
    return lambda url, headers=None: call(url, headers or {})


@pytest.fixture(autouse=True)
def propagators(monkeypatch):
    """Set the propagators as OTEL_PROPAGATORS=tracecontext,baggage,clew does."""
    for name in [name for name in os.environ if name.startswith("CLEW_")]:
        monkeypatch.delenv(name)
    before = propagate.get_global_textmap()
    propagators = [TraceContextTextMapPropagator(), W3CBaggagePropagator(), http.ClewPropagator()]
    propagate.set_global_textmap(CompositePropagator(propagators))
    yield
    propagate.set_global_textmap(before)
    http.uninstrument_clients()
    http._written.clear()


@pytest.fixture(autouse=True)
def names_resolve_to_loopback(monkeypatch):
    getaddrinfo = socket.getaddrinfo

    def lookup(host, *args, **kwargs):
        if isinstance(host, bytes):
            host = host.decode()
        if isinstance(host, str) and host.rstrip(".").endswith((".example", ".org", ".com")):
            host = "127.0.0.1"
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.fixture(autouse=True)
def empty_context():
    before = otel.attach(otel.Context())
    yield
    otel.detach(before)


@pytest.fixture
def listener():
    with listening() as server:
        yield server


@pytest.fixture
def propagate_to(monkeypatch):
    return lambda hosts: monkeypatch.setenv("CLEW_PROPAGATE_TO", hosts)


@pytest.fixture
def trusted(monkeypatch):
    monkeypatch.setenv("CLEW_TRUST_INBOUND", "1")


@pytest.fixture
def dropped():
    before = counters.counted()

    def count(name="ids from outside that cannot be used"):
        return counters.counted().get(name, 0) - before.get(name, 0)

    return count
