"""What clew reads and sets of OpenTelemetry that is private there: all of it, and nothing else.

Each function says why nothing public serves. Where a release of OpenTelemetry does not have what
is wanted, the answer is None or empty, and setting does nothing: clew then does without it.
"""

import atexit
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from opentelemetry import context, trace

SET_TRACER_PROVIDER = "_set_tracer_provider"
"""The function of `opentelemetry.trace` that sets the global tracer provider. It is wrapped to
learn of one: nothing public reports it, and the public setter may have been imported already."""

LOGS_MODULE = "opentelemetry._logs._internal"
SET_LOGGER_PROVIDER = "_set_logger_provider"
"""The function of `LOGS_MODULE` that sets the global logger provider; wrapped for that reason."""

UNINSTRUMENT = "_uninstrument"
"""The method in which an instrumentor undoes its patches. The public one calls it, once it knows
that there is something to undo; only around this one is it known that patches are removed."""


# --- tracer providers, tracers and spans ---


def span_processors(provider: object) -> Sequence[Any]:
    """Return the span processors of *provider*: they can be added publicly, and not read."""
    processors = span_processor_of(provider)
    found: Sequence[Any] = getattr(processors, "_span_processors", ())
    return found


def attribute_limit(provider: object) -> int | None:
    """Return how many attributes *provider* lets a span have: its limits can only be given."""
    limits = getattr(provider, "_span_limits", None)
    found: int | None = getattr(limits, "max_span_attributes", None)
    return found


def span_processor_of(provider: object) -> Any:
    """Return what *provider* passes its spans to; its public method only adds to that."""
    return getattr(provider, "_active_span_processor", None)


def tracers_of(provider: object) -> list[Any] | None:
    """Return the tracers that *provider* has made; only newer SDKs keep a list of them."""
    tracers = getattr(provider, "_tracers", None)
    return list(tracers.values()) if isinstance(tracers, dict) else None


def max_attributes_of(span: object) -> int | None:
    """Return how many attributes *span* may have; publicly it only tells how many it dropped."""
    limit: int | None = getattr(getattr(span, "_limits", None), "max_span_attributes", None)
    return limit


_PARTS_OF_ATTRIBUTES = {"_dict", "_immutable", "_lock", "dropped", "max_value_len", "maxlen"}
"""What an object holds that has the attributes of a span. In older SDKs ``_extended_attributes``
is there, too: a switch for types of values, which does not concern text."""


def attributes_reader() -> Callable[[Any], Mapping[str, Any]]:
    """Return a function that returns the attributes of a span as they are now, not to be changed.

    What is public makes four calls in Python to read one, and as many to tell that there is none.
    """
    known = _class_of_attributes()

    def read(span: Any) -> Mapping[str, Any]:
        bounded: Any = getattr(span, "_attributes", None)
        if known is not None and type(bounded) is known:
            attributes: Mapping[str, Any] = bounded._dict
            return attributes
        return span.attributes or {}

    return read


def first_attributes_setter() -> Callable[[Any, Mapping[str, Any]], bool]:
    """Return a function that gives a new span its first attributes, if these are text that fits.

    It returns whether it has done so, or else has changed nothing. The public method takes longer
    than all else that a span needs for its ids: two locks for each attribute, and checks of what is
    checked already. A span without attributes needs none of it: one ``dict.update`` is atomic.
    """
    known = _class_of_attributes()
    if known is None:
        return _set_nothing
    from opentelemetry.sdk import trace as trace_sdk  # Heavy; `import clew` is not

    set_one, set_several = trace_sdk.Span.set_attribute, trace_sdk.Span.set_attributes
    for method in (set_one, set_several):
        if vars(trace_sdk) is not getattr(method, "__globals__", None):
            return _set_nothing  # Somebody else has replaced it, and wants to be called.

    def set_first(span: Any, attributes: Mapping[str, Any]) -> bool:
        bounded: Any = getattr(span, "_attributes", None)
        has_ended = getattr(span, "_end_time", None) is not None
        if has_ended or type(bounded) is not known or bounded._dict or bounded._immutable:
            return False
        of_class = type(span)
        if of_class.set_attribute is not set_one or of_class.set_attributes is not set_several:
            return False
        if (limit := bounded.maxlen) is not None and limit < len(attributes):
            return False
        longest = bounded.max_value_len
        for value in attributes.values():
            if not isinstance(value, str) or (longest is not None and len(value) > longest):
                return False
        bounded._dict.update(attributes)
        return True

    return set_first


def _set_nothing(_span: object, _attributes: Mapping[str, Any]) -> bool:
    return False


def _class_of_attributes() -> Any:
    """Return the class of a span's attributes, or None if it holds others than are known here."""
    try:
        from opentelemetry.attributes import BoundedAttributes  # Only those with the SDK need it
    except ImportError:
        return None
    parts = getattr(BoundedAttributes(), "__dict__", {})
    is_known = parts.keys() - {"_extended_attributes"} == _PARTS_OF_ATTRIBUTES
    return BoundedAttributes if is_known and type(parts["_dict"]) is dict else None


def allow_another_tracer_provider() -> None:
    """Let the global tracer provider be set once more, which OpenTelemetry refuses publicly."""
    if once := _new_once():
        vars(trace)["_TRACER_PROVIDER_SET_ONCE"] = once


def refuse_another_tracer_provider() -> None:
    """Undo `allow_another_tracer_provider`, for which there is nothing public either."""
    once: Any = getattr(trace, "_TRACER_PROVIDER_SET_ONCE", None)
    if once is not None:
        once.do_once(lambda: None)


def shut_down_first(provider: object) -> None:
    """Let *provider* be shut down first of what is registered with ``atexit`` now, if it is at all.

    Publicly nothing tells whether it has registered its `shutdown` there: that can be turned off.
    """
    if (handler := getattr(provider, "_atexit_handler", None)) is not None:
        atexit.unregister(handler)
        atexit.register(handler)


def forget_tracer_provider() -> None:
    """Let OpenTelemetry have no global tracer provider: the public setter takes only another."""
    vars(trace)["_TRACER_PROVIDER"] = None


def _new_once() -> Any:
    try:
        from opentelemetry.util._once import Once  # Only the doctor needs it
    except ImportError:
        return None
    return Once()


def sdk_configurator() -> Any:
    """Return the class that configures the SDK as the OTEL_* variables say, or None.

    Its public subclass is in the package of another distro, which clew must not install.
    """
    try:
        from opentelemetry.sdk._configuration import _OTelSDKConfigurator  # It loads all of the SDK
    except ImportError:
        return None
    return _OTelSDKConfigurator


# --- the context and propagators ---


def runtime_context() -> Any:
    """Return the object that stores the context: OpenTelemetry chooses it once, and shows none."""
    return getattr(context, "_RUNTIME_CONTEXT", None)


def set_runtime_context(replacement: object) -> None:
    """Let *replacement* store the context: publicly, only an environment variable chooses it."""
    vars(context)["_RUNTIME_CONTEXT"] = replacement


def parts_of_propagator(propagator: object) -> Sequence[Any] | None:
    """Return what *propagator* is composed of, which it does not show; None if of nothing."""
    parts = getattr(propagator, "_propagators", None)
    return parts if isinstance(parts, list | tuple) else None


# --- logs ---


def log_record_processors(provider: object) -> Any:
    """Return the object through which *provider* calls its processors, in the order they came.

    A processor that is added publicly is called last, when another may have exported the record.
    """
    return getattr(provider, "_multi_log_record_processor", None)


def current_logger_provider(api: ModuleType) -> Any:
    """Return the global logger provider that was set, or None: the public getter makes one."""
    return vars(api).get("_LOGGER_PROVIDER")


# --- exporters and instrumentations ---


def http_session(exporter: object) -> Any:
    """Return the ``requests.Session`` of an OTLP/HTTP exporter, or None.

    It may be given to the exporter, and cannot be asked for.
    """
    return getattr(_transport(exporter), "_session", None)


def connection_pool(exporter: object) -> Any:
    """Return the ``urllib3.PoolManager`` of an OTLP/HTTP exporter, or None; as `http_session`."""
    return getattr(_transport(exporter), "_pool", None)


def set_connection_pool(exporter: object, pool: object) -> None:
    """Let the exporter, which has a pool, use *pool*: it can be set nowhere else."""
    _transport(exporter)._pool = pool


def limit_timeout(exporter: object, seconds: float) -> None:
    """Let an export of an OTLP exporter take at most so many *seconds*: no call of it takes any."""
    for holder in (exporter, getattr(exporter, "_client", None)):
        timeout = getattr(holder, "_timeout", None)
        if isinstance(timeout, int | float) and timeout > seconds:
            holder._timeout = seconds  # type: ignore[union-attr]


def _transport(exporter: object) -> Any:
    """Return what sends the requests: in newer releases a part of the exporter, or itself."""
    return getattr(getattr(exporter, "_client", None), "_transport", exporter)


GRPC_CLIENT_INTERCEPTOR = (
    "opentelemetry.instrumentation.grpc._client:OpenTelemetryClientInterceptor"
)
"""The class whose `intercept_stream` is wrapped: publicly there is only a function to make one."""

GRPC_INTERCEPTING = "opentelemetry.instrumentation.grpc.grpcext._interceptor"
"""The module whose `intercept_channel` is wrapped: other modules have imported the public one."""


def tracer_of_interceptor(interceptor: object) -> Any:
    """Return the tracer of an interceptor of gRPC, or None: it is passed in, and kept private."""
    of_opentelemetry = type(interceptor).__module__.startswith("opentelemetry.instrumentation.grpc")
    return getattr(interceptor, "_tracer", None) if of_opentelemetry else None


def set_tracer_of_interceptor(interceptor: Any, tracer: object) -> None:
    """Let an interceptor of gRPC, which has a tracer, use *tracer*: OpenTelemetry makes it."""
    interceptor._tracer = tracer


def channel_within(channel: object) -> Any:
    """Return the channel that an intercepted *channel* of gRPC sends its calls to, or None.

    Neither gRPC's own nor OpenTelemetry's shows it.
    """
    return getattr(channel, "__dict__", {}).get("_channel")
