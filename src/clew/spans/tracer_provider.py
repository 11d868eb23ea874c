"""The tracer provider that the instrumentors are given: a thin layer over the real one.

What has to hold for the spans of all instrumentors is done here, once. The instrumentors wrap each
tracer into OpenInference's `OITracer`, which merges the *current* context's ids into a span's
attributes even when ``start_span`` is given another context; here they are replaced by what the
span really carries, so that samplers and processors see the right ones from the first moment.
"""

from collections.abc import Sequence
from functools import lru_cache
from secrets import randbits

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span as SDKSpan
from opentelemetry.sdk.trace import Tracer as SDKTracer
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import Link, Span, SpanKind, Tracer, TracerProvider
from opentelemetry.util.types import Attributes, AttributeValue

from clew.context.api import carried, echoed
from clew.context.identity import CARRIED, IDS
from clew.core.containment import contain
from clew.core.frameworks import FRAMEWORKS, Layer
from clew.spans.cost import price
from clew.spans.framework_runs import nested
from clew.spans.kept_span import KeptSpan, keep
from clew.spans.model_calls import begin
from clew.spans.other_providers import warn_of_replaced_provider


class ClewTracerProvider(TracerProvider):
    """Hands out tracers of the real provider, each with a layer of clew's."""

    def __init__(self, real: TracerProvider) -> None:
        self.real = real

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Tracer:
        """Return a tracer for one instrumentor; one of another make than the SDK's as it is."""
        real = self.real.get_tracer(
            instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        )
        if not isinstance(real, SDKTracer):
            return real
        return _tracer_class(_layer_of(instrumenting_module_name)).over(real)


def _layer_of(instrumentor: str) -> Layer:
    for framework in FRAMEWORKS:
        if framework.instrumentor.partition(":")[0] == instrumentor:
            return framework.layer
    return Layer.UNKNOWN


@lru_cache
def _tracer_class(layer: Layer) -> type["ClewTracer"]:
    """Return a class, because instances share the state of the tracers that they are over."""
    return type("ClewTracer", (ClewTracer,), {"layer": layer})


class ClewTracer(SDKTracer):
    """One instrumentor's tracer: the SDK's, state and all, but for what a span of its does."""

    layer = Layer.UNKNOWN
    """Of the framework whose spans it makes."""

    @classmethod
    def over(cls, real: SDKTracer) -> "ClewTracer":
        """Return a tracer that shares the state of *real*, also what changes later."""
        tracer = object.__new__(cls)
        tracer.__dict__ = real.__dict__
        return tracer

    @property
    def unwrapped(self) -> "ClewTracer":
        """This tracer, also when asked of the `OITracer` around it."""
        return self

    @property
    def id_generator(self) -> IdGenerator:  # type: ignore[override]  # it is never set here
        """A generator that is safe from an application that seeds ``random``, as `OITracer`'s."""
        own: IdGenerator = self.__dict__["id_generator"]
        return _UNSEEDED if type(own) is RandomIdGenerator else own

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
        """Start a span with the ids that it carries, inside the model call that it is part of.

        `OITracer` calls this with itself as ``self``; going on with the tracer inside it spares
        each of the SDK's looks at its own state the way through the proxy.
        """
        try:
            warn_of_replaced_provider()
            context = nested(context)
            attributes = _with_identity(attributes, context)
        except Exception:
            contain("starting a span")
        span = SDKTracer.start_span(
            self.unwrapped,
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception,
            set_status_on_exception,
        )
        try:
            if isinstance(span, SDKSpan):
                if not isinstance(span, KeptSpan):
                    # It may yet be told of another session by its framework.
                    keep(span, carried(context))
                price(span)
                begin(span, context, self.layer)
        except Exception:
            contain("starting a span")
        return span


class _Unseeded(RandomIdGenerator):
    def generate_span_id(self) -> int:
        return randbits(64) or self.generate_span_id()

    def generate_trace_id(self) -> int:
        return randbits(128) or self.generate_trace_id()


_UNSEEDED = _Unseeded()


def _with_identity(attributes: Attributes, context: Context | None) -> Attributes:
    found, inherited, _ = carried(context)
    if not attributes:
        return found
    given: dict[str, AttributeValue] = {**found, **attributes}
    for key in CARRIED:
        if key not in attributes:
            continue
        own = attributes[key]
        # An echo of the current context, or the framework's own id.
        if echoed(key, own) or (key in IDS and key in found and key not in inherited):
            if key in found:
                given[key] = found[key]
            else:
                del given[key]
    return given
