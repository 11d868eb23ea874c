"""The tracer provider that the instrumentors are given: a thin layer over the real one.

What the spans of all instrumentors need is done here, once. The instrumentors wrap each tracer in
OpenInference's `OITracer`, which merges the *current* context's ids into a span's attributes even
when ``start_span`` is given another context. Here they are replaced by the ids of that context, so
that samplers and processors see the right ones from the start.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from secrets import randbits
from typing import Any

from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import Span as SDKSpan
from opentelemetry.sdk.trace import Tracer as SDKTracer
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import Link, Span, SpanKind, Tracer, TracerProvider
from opentelemetry.util.types import Attributes, AttributeValue
from wrapt import ObjectProxy

from clew.context.ids import CONTEXT_KEYS, IDS
from clew.context.lookup import find_attributes, is_same
from clew.core.containment import contain
from clew.core.frameworks import FRAMEWORKS, Layer
from clew.core.otel_private import span_processor_of
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
        return ClewTracer(real, self.real, _layer_of(instrumenting_module_name))


def _layer_of(instrumentor: str) -> Layer:
    for framework in FRAMEWORKS:
        if framework.instrumentor.partition(":")[0] == instrumentor:
            return framework.layer
    return Layer.UNKNOWN


class ClewTracer(Tracer):
    """One instrumentor's tracer: has a real one, and another way to start spans.

    Everything else is read from the real tracer, whenever it is needed.
    """

    def __init__(self, real: SDKTracer, provider: TracerProvider, layer: Layer) -> None:
        self._real = real
        self.layer = layer
        """The layer of the framework whose spans it makes."""
        made_by_provider = real.span_processor is span_processor_of(
            provider
        ) and real.sampler is getattr(provider, "sampler", None)
        # A provider may return the tracers of another one, and not use its own sampler.
        self.starting = _starting_tracer(real, provider if made_by_provider else real)
        """What the SDK's methods are called with."""
        found: Any = type(self.starting)
        self.starting_class: type[SDKTracer] = SDKTracer if found is _DelegatingTracer else found
        """Whose ``start_span`` is called: an application's class of tracers may have its own."""

    @property
    def sampler(self) -> Sampler:
        """The sampler that the provider has now: for sessions, or set by the application."""
        return self.starting.sampler

    @property
    def id_generator(self) -> IdGenerator:
        """A generator that ``random.seed()`` in the application cannot change, as `OITracer`'s."""
        return self.starting.id_generator

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the real tracer."""
        if name == "_real":  # Not set yet, for example while this tracer is being copied.
            raise AttributeError(name)
        return getattr(self._real, name)

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

        `OITracer` calls this with itself as ``self``.
        """
        tracer = _unwrap(self)
        try:
            warn_of_replaced_provider()
            context = context_inside_run(context)
            attributes = _with_identity(attributes, context)
        except Exception:
            contain("starting a span")
        span = tracer.starting_class.start_span(
            tracer.starting,
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
            if isinstance(span, KeptSpan):
                kept: KeptSpan | None = span
            else:  # Its framework may still set another session's id on it.
                kept = keep(span, find_attributes(context)) if isinstance(span, SDKSpan) else None
            if kept is not None:
                set_cost_at_end(kept)
                track_model_call(kept, context, tracer.layer)
        except Exception:
            contain("starting a span")
        return span

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        """Start a span and make it the current one, in a block or around a function."""
        return SDKTracer.start_as_current_span(self, *args, **kwargs)  # type: ignore[arg-type]


def _unwrap(tracer: Any) -> ClewTracer:
    """Return the tracer inside an `OITracer`, through which reading an attribute is slow."""
    while type(tracer) is not ClewTracer:
        tracer = tracer.__wrapped__
    return tracer


def _starting_tracer(real: SDKTracer, sampled_by: Any) -> SDKTracer:
    """Return a tracer that has all that *real* has, now and later, but for what starts its spans.

    The SDK's ``start_span`` reads ten attributes of its tracer. So the two share one dictionary of
    them, and only two are this one's own: the sampler, which is always that of *sampled_by*, and
    the generator of ids. That is the one that *real* has now; one that it is given later is not
    used.
    """
    while isinstance(real, ObjectProxy):  # The tracers of OpenInference's own provider are.
        real = real.__wrapped__
    own = real.id_generator
    try:
        starting: Any = object.__new__(_starting_class(type(real)))
        starting.__dict__ = real.__dict__
    except Exception:  # A class of an application's may refuse subclasses, for example.
        starting = _DelegatingTracer(real)
    starting.sampled_by = sampled_by
    starting.id_generator = _UNSEEDED if type(own) is RandomIdGenerator else own
    return starting  # type: ignore[no-any-return]  # it has all that a tracer has


def _set_sampler(starting: Any, sampler: Sampler) -> None:
    starting.sampled_by.sampler = sampler


_sampler = property(attrgetter("sampled_by.sampler"), _set_sampler)


@lru_cache(maxsize=64)
def _starting_class(tracer_class: type[SDKTracer]) -> type[SDKTracer]:
    if any(vars(base).get("__slots__") for base in tracer_class.__mro__):
        message = f"{tracer_class.__name__} has attributes that are not in its dictionary"
        raise TypeError(message)
    namespace = {
        "__module__": __name__,
        "__slots__": ("id_generator", "sampled_by"),
        "sampler": _sampler,
    }
    return type(tracer_class.__name__, (tracer_class,), namespace)


class _DelegatingTracer:
    """Has what another tracer has, as `_starting_class`, but reads it one by one, more slowly."""

    sampler = _sampler

    def __init__(self, real: SDKTracer) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        if name == "_real":  # Not set yet, for example while this tracer is being copied.
            raise AttributeError(name)
        return getattr(self._real, name)


class _Unseeded(RandomIdGenerator):
    def generate_span_id(self) -> int:
        return randbits(64) or self.generate_span_id()

    def generate_trace_id(self) -> int:
        return randbits(128) or self.generate_trace_id()


_UNSEEDED = _Unseeded()


def _with_identity(attributes: Attributes, context: Context | None) -> Attributes:
    """Return *attributes* with what *context* carries, instead of what `OITracer` has set."""
    from_context, inherited, _ = find_attributes(context)
    if not attributes:
        return dict(from_context)  # The sampler may change it, and other spans get the same.
    result: dict[str, AttributeValue] = {**from_context, **attributes}
    current = None
    for key in CONTEXT_KEYS:
        if key not in attributes:
            continue
        own, expected = attributes[key], from_context.get(key)
        if (own is expected is not None) or (
            type(own) is type(expected) is str and own == expected
        ):
            continue  # As nearly always. A pseudonym, whose type is another, is more than its text.
        current = current or get_current()
        # Read from the current context, or the framework's own id.
        if is_same(current.get(key), own) or (
            key in IDS and key in from_context and key not in inherited
        ):
            if key in from_context:
                result[key] = from_context[key]
            else:
                del result[key]
    return result
