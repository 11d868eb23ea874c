"""The products that clew is tested beside, how each is set up, and where the spans then arrive.

Not here, because it could not be run: `mlflow.openai.autolog()`, which mlflow-skinny lacks, and
arize-otel over HTTP, whose `register` raises beside the newest exporter of OpenTelemetry's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.release.docs.blocks import blocks
from tests.release.neighbours.receivers import (
    DatadogAgent,
    LogfireBackend,
    MlflowFiles,
    OtlpOverGrpc,
    OtlpOverHttp,
    Receiver,
    SentryEnvelopes,
)

THEIRS, OURS = "theirs", "ours"
PAGE = "docs/beside.md"
CALL = "instrument_all()\n"
"""How each block of the page ends."""


@dataclass(frozen=True)
class Product:
    """One product; its set-up has the URL of its receiver in the variable ``theirs``, too."""

    title: str
    package: str
    setup: str
    receiver: Callable[[], Receiver] = OtlpOverHttp
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that the application starts with, with the URLs of the receivers as ``{theirs}``
    and ``{ours}``."""
    set_up_first: frozenset[str] = frozenset({THEIRS})
    """Where the spans of the call arrive when it is set up before clew."""
    set_up_after: frozenset[str] = frozenset({OURS})
    """Where they arrive when it is set up after clew."""
    named: bool = True
    """Whether clew, set up first, logs that the product gets no spans, and what to do."""
    own_spans: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What it makes of the call itself, and where that arrives, in both orders."""
    own_spans_have_ids: bool = False


def _shown(importing: str) -> str:
    """Return how docs/beside.md sets a product up: the first such block, but for clew's call."""
    for block in blocks(PAGE):
        if block.language == "python" and importing in block.code:
            return block.code.removesuffix(CALL)
    message = f"{PAGE} has no block with: {importing}"
    raise ValueError(message)


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
        _shown("from arize.otel"),
        receiver=OtlpOverGrpc,
        environment={
            "ARIZE_SPACE_ID": "space",
            "ARIZE_API_KEY": "key",
            "ARIZE_COLLECTOR_ENDPOINT": "{theirs}",
        },
    ),
    "ddtrace": Product(
        "Datadog (`ddtrace`)",
        "ddtrace",
        _shown("import ddtrace.auto"),
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
        _shown("from langfuse"),
        set_up_after=frozenset({THEIRS, OURS}),
        named=False,
        environment={
            "LANGFUSE_PUBLIC_KEY": "public",
            "LANGFUSE_SECRET_KEY": "secret",
            "LANGFUSE_BASE_URL": "{theirs}",
        },
    ),
    "logfire": Product(
        "Logfire",
        "logfire",
        _shown("import logfire"),
        receiver=LogfireBackend,
        environment={
            "LOGFIRE_SEND_TO_LOGFIRE": "true",  # Which it does not under pytest.
            "LOGFIRE_TOKEN": "pylf_v1_local_0",
            "LOGFIRE_BASE_URL": "{theirs}",
            "LOGFIRE_CONSOLE": "false",
        },
        set_up_first=frozenset({THEIRS, OURS}),  # It exports as the environment says, too.
    ),
    "mlflow": Product(
        "MLflow, sharing the global tracer provider",
        "mlflow-skinny",
        _shown("import mlflow"),
        receiver=MlflowFiles,
        environment={
            **_MLFLOW,
            "MLFLOW_TRACKING_URI": "{theirs}",
            "MLFLOW_USE_DEFAULT_TRACER_PROVIDER": "false",
        },
        set_up_after=frozenset({THEIRS, OURS}),
        named=False,
    ),
    "mlflow-tracking-uri": Product(
        "MLflow, sharing it, with `set_tracking_uri`",
        "mlflow-skinny",
        """
import mlflow
mlflow.set_tracking_uri(theirs)  # It takes away the global tracer provider, whoever's it is.
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
        _shown("from phoenix.otel"),
        environment={"PHOENIX_COLLECTOR_ENDPOINT": "{theirs}"},
    ),
    "sentry": Product(
        "Sentry, OTLP integration",
        "sentry-sdk",
        _shown("OTLPIntegration"),
        set_up_after=frozenset({THEIRS, OURS}),
        named=False,
        environment={"SENTRY_DSN": "http://key@{theirs_host}/1"},
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
        _shown("from traceloop.sdk"),
        set_up_after=frozenset({THEIRS, OURS}),
        named=False,
        environment={"TRACELOOP_BASE_URL": "{theirs}", "TRACELOOP_API_KEY": "key"},
    ),
}
