"""Fixtures of the unit tests: a real tracer provider, and a clean state before and after."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from openinference.instrumentation import OITracer, TraceConfig
from opentelemetry import context as otel
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import Tracer

import clew
from clew.context import ids
from clew.core import containment
from clew.core.backend_names import Alias
from clew.spans.processor import IdentityProcessor
from clew.spans.tracer_provider import ClewTracerProvider

hypothesis_settings.register_profile(
    "unit",
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
hypothesis_settings.load_profile("unit")

COMPLAINTS = ("Failed to detach context", "Setting attribute on ended span", "on an ended span")


@dataclass
class Telemetry:
    """A provider with clew's processor, and the spans that it exported."""

    limit: int = 128
    aliases: tuple[Alias, ...] = ()
    sampler: Sampler = ALWAYS_ON
    processors: int = 1
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        self.provider = TracerProvider(
            sampler=self.sampler,
            span_limits=SpanLimits(max_span_attributes=self.limit),
            shutdown_on_exit=False,
        )
        for _ in range(self.processors):
            self.provider.add_span_processor(IdentityProcessor(self.aliases))
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def tracer(self) -> Tracer:
        """A tracer of the application's own."""
        return self.provider.get_tracer("application")

    @property
    def instrumentor(self) -> OITracer:
        """A tracer as clew gives it to an instrumentor, which wraps it as they all do."""
        real = ClewTracerProvider(self.provider).get_tracer("openinference.instrumentation.fake")
        return OITracer(real, config=TraceConfig())

    @property
    def stranger(self) -> OITracer:
        """A tracer of OpenInference's on a provider that clew only stamps."""
        return OITracer(self.tracer, config=TraceConfig())

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def named(self) -> dict[str, dict[str, Any]]:
        """The attributes of each finished span by the span's name."""
        return {span.name: dict(span.attributes or {}) for span in self.spans()}

    def last(self) -> dict[str, Any]:
        """The attributes of the span that ended last."""
        return dict(self.spans()[-1].attributes or {})

    def ids(self) -> tuple[Any, Any]:
        """Session and user of the span that ended last."""
        said = self.last()
        return said.get("session.id"), said.get("user.id")

    def probe(self, **options: Any) -> tuple[Any, Any]:
        """Start and end a span here and now, and return its session and user."""
        self.tracer.start_span("probe", **options).end()
        return self.ids()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def make_telemetry() -> Callable[..., Telemetry]:
    return Telemetry


@pytest.fixture
def as_instrumentor() -> Callable[..., Any]:
    """Call a function from a module whose name is that of an instrumentor."""
    code = (lambda function, *arguments, **named: function(*arguments, **named)).__code__
    return FunctionType(code, {"__name__": "openinference.instrumentation.fake"})


@pytest.fixture
def on_the_wire(caplog: pytest.LogCaptureFixture) -> Callable[..., bytes]:
    """Encode spans as OTLP does, and see that nothing was lost on the way."""

    def encoded(*spans: ReadableSpan) -> bytes:
        caplog.clear()
        message = encode_spans(spans)
        assert [record for record in caplog.records if "encode" in record.message] == []
        return message.SerializeToString()

    return encoded


@pytest.fixture
def contained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contain clew's own failures, as in production, instead of raising them."""
    monkeypatch.setattr(containment, "reraise", False)
    monkeypatch.setattr(containment, "_logged", set())


@pytest.fixture(autouse=True)
def clean_surroundings(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    for name in os.environ:
        if name.startswith(("OTEL_", "CLEW_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CLEW_STORE", "off")
    monkeypatch.setattr(containment, "reraise", True)
    ids.read_user_id_key()
    before = otel.attach(otel.Context())
    yield
    left = clew.current()
    span = otel.get_current()
    otel.detach(before)
    monkeypatch.delenv("CLEW_USER_ID_KEY", raising=False)
    ids.read_user_id_key()
    assert not left, f"the test left {left} behind"
    assert "current-span" not in "".join(span), "the test left a span behind"
    logged = [record.getMessage() for record in caplog.get_records("call")]
    assert [text for text in logged if any(complaint in text for complaint in COMPLAINTS)] == []
