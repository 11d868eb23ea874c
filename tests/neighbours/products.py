"""The products that clew is tested beside, how each is set up, and where the spans then arrive.

Not here, because it could not be run: `mlflow.openai.autolog()`, which mlflow-skinny lacks, and
arize-otel over HTTP, whose `register` raises beside the newest exporter of OpenTelemetry's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.neighbours.receivers import (
    DatadogAgent,
    MlflowFiles,
    OtlpOverGrpc,
    OtlpOverHttp,
    Receiver,
    SentryEnvelopes,
)

THEIRS, OURS = "theirs", "ours"


@dataclass(frozen=True)
class Product:
    """One product; its set-up is given the URL of its receiver as ``theirs``."""

    title: str
    package: str
    setup: str
    receiver: Callable[[], Receiver] = OtlpOverHttp
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that the application starts with; ``{theirs}`` and ``{ours}`` are the URLs."""
    set_up_first: frozenset[str] = frozenset({THEIRS})
    """Where the spans of the call arrive when it is set up before clew."""
    set_up_after: frozenset[str] = frozenset({OURS})
    """Where they arrive when it is set up after clew."""
    named: bool = True
    """Whether clew, set up first, logs that the product gets no spans, and what to do."""
    own_spans: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What it makes of the call itself, and where that arrives, in both orders."""
    own_spans_have_ids: bool = False


_MLFLOW = {
    # Not for all signals: MLflow would export metrics over gRPC; see docs/beside.md.
    "OTEL_EXPORTER_OTLP_ENDPOINT": "",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{ours}/v1/traces",
    "MLFLOW_ENABLE_OTLP_EXPORTER": "false",
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
    "MLFLOW_ALLOW_FILE_STORE": "true",
}

PRODUCTS = {
    "arize": Product(
        "Arize (`arize-otel`)",
        "arize-otel",
        """
from arize.otel import register
register(
    space_id="space", api_key="key", project_name="shop", endpoint=theirs, verbose=False
)
""",
        receiver=OtlpOverGrpc,
    ),
    "ddtrace": Product(
        "Datadog (`ddtrace`)",
        "ddtrace",
        "import ddtrace.auto",
        receiver=DatadogAgent,
        environment={
            "DD_TRACE_OTEL_ENABLED": "true",
            "DD_TRACE_AGENT_URL": "{theirs}",
            "DD_TRACE_API_VERSION": "v0.4",
            "DD_TRACE_STARTUP_LOGS": "false",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        },
        own_spans={THEIRS: frozenset({"createChatCompletion", "http.request"})},
    ),
    "distro": Product(
        "OpenTelemetry's distro",
        "opentelemetry-distro",
        """
import os
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = theirs
os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
os.environ["OTEL_PYTHON_DISTRO"] = "distro"
os.environ["OTEL_PYTHON_CONFIGURATOR"] = "configurator"
from opentelemetry.instrumentation.auto_instrumentation import initialize
initialize()
""",
    ),
    "langfuse": Product(
        "Langfuse",
        "langfuse",
        """
from langfuse import Langfuse
Langfuse(public_key="public", secret_key="secret", base_url=theirs)
""",
        set_up_after=frozenset({THEIRS, OURS}),
        named=False,
    ),
    "logfire": Product(
        "Logfire",
        "logfire",
        """
import logfire
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor
keep = lambda match: match.value if match.path[-1] == "session.id" else None
logfire.configure(
    send_to_logfire=False,
    console=False,
    scrubbing=logfire.ScrubbingOptions(callback=keep),
    additional_span_processors=[BatchSpanProcessor(OTLPSpanExporter(theirs + "/v1/traces"))],
)
""",
        set_up_first=frozenset({THEIRS, OURS}),  # It exports as the environment says, too.
    ),
    "mlflow": Product(
        "MLflow, sharing the global tracer provider",
        "mlflow-skinny",
        """
import mlflow
mlflow.set_tracking_uri(theirs)
mlflow.tracing.enable()
""",
        receiver=MlflowFiles,
        environment={**_MLFLOW, "MLFLOW_USE_DEFAULT_TRACER_PROVIDER": "false"},
    ),
    "mlflow-apart": Product(
        "MLflow, as it is by default",
        "mlflow-skinny",
        """
import mlflow
mlflow.set_tracking_uri(theirs)
with mlflow.start_span("work"):
    pass
""",
        receiver=MlflowFiles,
        environment=_MLFLOW,
        set_up_first=frozenset({OURS}),  # Its tracer provider is its own: nobody else's spans.
        named=False,
        own_spans={THEIRS: frozenset({"work"})},
    ),
    "openai-v2": Product(
        "opentelemetry-instrumentation-openai-v2",
        "opentelemetry-instrumentation-openai-v2",
        """
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
OpenAIInstrumentor().instrument()
""",
        set_up_first=frozenset({OURS}),  # It has no destination of its own.
        named=False,
        own_spans={OURS: frozenset({"chat gpt-4o-mini"})},
        own_spans_have_ids=True,
    ),
    "phoenix": Product(
        "Phoenix (`arize-phoenix-otel`)",
        "arize-phoenix-otel",
        """
from phoenix.otel import register
register(endpoint=theirs + "/v1/traces", protocol="http/protobuf", verbose=False)
""",
    ),
    "sentry": Product(
        "Sentry, OTLP integration",
        "sentry-sdk",
        """
import sentry_sdk
from sentry_sdk.integrations.otlp import OTLPIntegration
sentry_sdk.init(
    dsn=theirs.replace("://", "://key@") + "/1",
    integrations=[OTLPIntegration(collector_url=theirs + "/v1/traces")],
)
""",
        set_up_after=frozenset({THEIRS, OURS}),
        named=False,
    ),
    "sentry-span-processor": Product(
        "Sentry, `SentrySpanProcessor`",
        "sentry-sdk",
        """
import sentry_sdk
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from sentry_sdk.integrations.opentelemetry import SentrySpanProcessor
sentry_sdk.init(
    dsn=theirs.replace("://", "://key@") + "/1",
    instrumenter="otel",
    traces_sample_rate=1.0,
    trace_propagation_targets=[],  # Else Sentry's own baggage goes to the model's provider.
)
provider = TracerProvider()
provider.add_span_processor(SentrySpanProcessor())
trace.set_tracer_provider(provider)
""",
        receiver=SentryEnvelopes,
    ),
    "traceloop": Product(
        "Traceloop (`traceloop-sdk`)",
        "traceloop-sdk",
        """
from traceloop.sdk import Traceloop
Traceloop.init(app_name="shop", api_endpoint=theirs, api_key="key", instruments=set())
""",
        set_up_after=frozenset({THEIRS, OURS}),
        named=False,
    ),
}
