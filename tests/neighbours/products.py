"""The products that clew is tested beside, and how each is set up.

Not yet here: langfuse, mlflow, sentry-sdk, ddtrace, opentelemetry-distro,
opentelemetry-instrumentation-openai-v2 and arize-otel, whose `register` fails by itself over HTTP.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """One product; its set-up is given the URL of its collector as ``theirs``."""

    package: str
    setup: str
    also_as_the_environment_says: bool = False
    """Whether it exports to OTEL_EXPORTER_OTLP_ENDPOINT too, besides its own destination."""
    joins: bool = False
    """Whether, set up after clew, it adds its exporter to the tracer provider that is there."""


PRODUCTS = {
    "traceloop": Product(
        "traceloop-sdk",
        """
from traceloop.sdk import Traceloop
Traceloop.init(app_name="shop", api_endpoint=theirs, api_key="key", instruments=set())
""",
        joins=True,
    ),
    "phoenix": Product(
        "arize-phoenix-otel",
        """
from phoenix.otel import register
register(endpoint=theirs + "/v1/traces", protocol="http/protobuf", batch=True, verbose=False)
""",
    ),
    "phoenix-simple": Product(
        "arize-phoenix-otel",
        """
from phoenix.otel import register
register(endpoint=theirs + "/v1/traces", protocol="http/protobuf", verbose=False)
""",
    ),
    "logfire": Product(
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
        also_as_the_environment_says=True,
    ),
}
