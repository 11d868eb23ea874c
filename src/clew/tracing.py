"""The tracer provider that the instrumentors are given: a thin layer over the real one.

What has to hold for the spans of all instrumentors is done here, once. The instrumentors wrap each
tracer into OpenInference's `OITracer`, which merges the *current* context's ids into a span's
attributes even when ``start_span`` is given another context; here they are replaced by what the
span really carries, so that samplers and processors see the right ones from the first moment.
"""

from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer as SDKTracer
from opentelemetry.trace import Link, Span, SpanKind, TracerProvider
from opentelemetry.util.types import Attributes, AttributeValue

from clew.boundary import contain
from clew.context import carried, echoed
from clew.identity import CARRIED, IDS


class ClewTracerProvider(TracerProvider):
    """Hands out tracers of the real provider, each in a layer of clew's."""

    def __init__(self, real: TracerProvider) -> None:
        self.real = real

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> "ClewTracer":
        """Return a tracer for one instrumentor."""
        return ClewTracer(
            self.real.get_tracer(
                instrumenting_module_name, instrumenting_library_version, schema_url, attributes
            )
        )


class ClewTracer(trace.Tracer):
    """One instrumentor's tracer.

    `OITracer` calls ``ClewTracer.start_span`` with itself as ``self``, and answers for the id
    generator (its own is safe from an application that seeds ``random``). So all state is reached
    by attribute access, which `OITracer` passes on to here, and this class to the real tracer.
    """

    def __init__(self, real: trace.Tracer) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def start_span(  # noqa: PLR0913, PLR0917 - OpenTelemetry's signature
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001, FBT002
        set_status_on_exception: bool = True,  # noqa: FBT001, FBT002
    ) -> Span:
        """Start a span with the ids that it carries."""
        try:
            attributes = _with_identity(attributes, context)
        except Exception:  # noqa: BLE001 - the boundary to the application
            contain("starting a span")
        arguments: dict[str, Any] = {
            "name": name,
            "context": context,
            "kind": kind,
            "attributes": attributes,
            "links": links,
            "start_time": start_time,
            "record_exception": record_exception,
            "set_status_on_exception": set_status_on_exception,
        }
        real = self.real
        if isinstance(real, SDKTracer):
            # Unbound, so that the id generator is asked of `self`, which may be an OITracer.
            return type(real).start_span(self, **arguments)  # type: ignore[arg-type]
        return real.start_span(**arguments)

    start_as_current_span = SDKTracer.start_as_current_span


def _with_identity(attributes: Attributes, context: Context | None) -> Attributes:
    found, inherited = carried(context)
    given: dict[str, AttributeValue] = dict(attributes or {})
    for key in CARRIED:
        if key not in given:
            continue
        if echoed(key, given[key]) or (key in IDS and key in found and key not in inherited):
            del given[key]  # An echo of the current context, or the framework's own id.
    return {**found, **given} if found else given
