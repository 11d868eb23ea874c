"""The tracer provider that the instrumentors are given: a thin layer over the real one.

What the spans of all instrumentors need is done here, once. The instrumentors wrap each tracer in
OpenInference's `OITracer`, which merges the *current* context's ids into a span's attributes even
when ``start_span`` is given another context. Here they are replaced by the ids of that context, so
that samplers and processors see the right ones from the start.
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
from clew.spans.cost import set_cost_at_end
from clew.spans.framework_runs import context_inside_run
from clew.spans.kept_span import KeptSpan, keep
from clew.spans.model_calls import track_model_call
from clew.spans.other_providers import warn_of_replaced_provider


class ClewTracerProvider(TracerProvider):
    """Returns the tracers of the real provider, each as a `ClewTracer`."""

    def __init__(self, real: TracerProvider) -> None:
        self.real = real

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Tracer:
        """Return a tracer for one instrumentor; one that is not the SDK's is returned unchanged."""
        real = self.real.get_tracer(
            instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        )
        if not isinstance(real, SDKTracer):
            return real
        return _tracer_class(_layer_of(instrumenting_module_name)).for_tracer(real)


def _layer_of(instrumentor: str) -> Layer:
    for framework in FRAMEWORKS:
        if framework.instrumentor.partition(":")[0] == instrumentor:
            return framework.layer
    return Layer.UNKNOWN


@lru_cache
def _tracer_class(layer: Layer) -> type["ClewTracer"]:
    """Return a class with this layer, as an instance shares all its state with the real tracer."""
    return type("ClewTracer", (ClewTracer,), {"layer": layer})


class ClewTracer(SDKTracer):
    """One instrumentor's tracer: the SDK's and its state, with another way to start spans."""

    layer = Layer.UNKNOWN
    """The layer of the framework whose spans it makes."""

    @classmethod
    def for_tracer(cls, real: SDKTracer) -> "ClewTracer":
        """Return a tracer that shares the state of *real*, including later changes."""
        tracer = object.__new__(cls)
        tracer.__dict__ = real.__dict__
        return tracer

    @property
    def unwrapped(self) -> "ClewTracer":
        """This tracer, even if it is read from the `OITracer` around it."""
        return self

    @property
    def id_generator(self) -> IdGenerator:  # type: ignore[override]  # it is never set here
        """A generator that ``random.seed()`` in the application cannot change, as `OITracer`'s."""
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

        `OITracer` calls this with itself as ``self``. The SDK's method is called with the tracer
        inside it, so that the SDK does not read each of its own attributes through the proxy.
        """
        try:
            warn_of_replaced_provider()
            context = context_inside_run(context)
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
                    # Its framework may still set another session's id on it.
                    keep(span, carried(context))
                set_cost_at_end(span)
                track_model_call(span, context, self.layer)
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
    """Return *attributes* with what *context* carries, instead of what `OITracer` has set."""
    from_context, inherited, _ = carried(context)
    if not attributes:
        return from_context
    result: dict[str, AttributeValue] = {**from_context, **attributes}
    for key in CARRIED:
        if key not in attributes:
            continue
        own = attributes[key]
        # Read from the current context, or the framework's own id.
        if echoed(key, own) or (key in IDS and key in from_context and key not in inherited):
            if key in from_context:
                result[key] = from_context[key]
            else:
                del result[key]
    return result
