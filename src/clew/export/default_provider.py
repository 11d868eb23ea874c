"""Makes the tracer provider, with its exporters, for an application that has set none.

The OTEL_* variables choose the exporters. Without any of them, spans are kept in the embedded
store, or, if ``CLEW_STORE=off``, written to standard error, one line of JSON each.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from urllib.parse import urlsplit
from weakref import WeakSet

from opentelemetry import trace
from opentelemetry.environment_variables import OTEL_PYTHON_TRACER_PROVIDER
from opentelemetry.sdk.environment_variables import OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter

from clew.core import settings
from clew.core.weak_map import WeakById
from clew.export.delivery_processor import Delivery
from clew.export.environment_proxies import remember_environment
from clew.export.span_limits import MAX_ATTRIBUTES, attributes_are_limited, span_limits
from clew.export.standard_error import StandardError
from clew.export.store_exporter import StoreExporter
from clew.store.location import store_path

logger = logging.getLogger("clew")

WITH_HIGH_LIMIT: WeakSet[TracerProvider] = WeakSet()
"""The providers made here with an attribute limit that no span of the application will reach."""

EXPORT_SET_UP = WeakById[bool]()
"""The providers whose exporters were set up here."""

_OTLP_VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
)
_OTLP_BY_PROTOCOL = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_PACKAGES = {
    "otlp_proto_grpc": "opentelemetry-exporter-otlp-proto-grpc",
    "otlp_proto_http": "opentelemetry-exporter-otlp-proto-http",
    "zipkin": "opentelemetry-exporter-zipkin",
    "zipkin_json": "opentelemetry-exporter-zipkin-json",
}


class _Unusable(Exception):  # noqa: N818 - never leaves this module
    """An exporter that is configured and cannot be used; the message says what to do."""


def provider_of_the_application() -> trace.TracerProvider | None:
    """Return the global tracer provider, or None if none has been set, or it cannot be loaded."""
    try:
        provider = trace.get_tracer_provider()
    except Exception as error:  # OpenTelemetry loads the one that a variable names, and reraises
        name = os.environ.get(OTEL_PYTHON_TRACER_PROVIDER)
        message = "clew: %s=%s cannot be used (%s), so clew makes the tracer provider"
        logger.warning(message, OTEL_PYTHON_TRACER_PROVIDER, name, type(error).__name__)
        return None
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider


def make_provider(resource: Mapping[str, str] | None = None) -> TracerProvider:
    """Make a tracer provider as the OTEL_* variables say, and set it as the global one."""
    sdk_resource = Resource.create({**resource}) if resource else None
    provider = TracerProvider(span_limits=span_limits(), resource=sdk_resource)
    set_up_export(provider)
    trace.set_tracer_provider(provider)
    return provider


def has_exporters_configured() -> bool:
    """Whether variables say where spans go: an exporter, a collector, or a store by its name."""
    named = (_variable("OTEL_TRACES_EXPORTER"), *map(_variable, _OTLP_VARIABLES))
    return any(named) or bool(_variable(settings.STORE.name) and store_path())


def variables_for_sdk() -> dict[str, str]:
    """Return variables with which the SDK's configurator makes such a provider, without export."""
    limit = (
        {} if attributes_are_limited() else {OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: str(MAX_ATTRIBUTES)}
    )
    return {"OTEL_TRACES_EXPORTER": "none", **limit}


def set_up_export(provider: TracerProvider) -> None:
    """Add the configured exporters to *provider*, which clew or the SDK's configurator has made."""
    EXPORT_SET_UP[provider] = True
    if not attributes_are_limited():
        WITH_HIGH_LIMIT.add(provider)
    is_disabled = _variable("OTEL_SDK_DISABLED").lower() == "true"
    if not is_disabled and (configured := exporters()):
        provider.add_span_processor(Delivery(configured))


def exporters() -> list[SpanExporter]:
    """Return the exporters that the environment configures, or the default one."""
    names = [
        name for part in _variable("OTEL_TRACES_EXPORTER").split(",") if (name := part.strip())
    ]
    if not names and any(map(_variable, _OTLP_VARIABLES)):
        names = ["otlp"]
    if not names:
        return [default_exporter("no exporter is configured")]
    wanted = [name for name in names if name.lower() != "none"]
    usable = []
    for name in wanted:
        try:
            usable.append(_exporter(name))
        except _Unusable as reason:
            logger.warning("clew cannot export with OTEL_TRACES_EXPORTER=%s: %s", name, reason)
    if wanted and not usable:
        return [default_exporter("none of the configured exporters can be used")]
    return usable


def default_exporter(reason: str) -> SpanExporter:
    """Return the exporter used if no configured one works, and log the *reason*."""
    path = store_path()
    if path is None:
        logger.warning(
            "clew: %s, and CLEW_STORE=off, so spans are written to standard error; "
            "set OTEL_EXPORTER_OTLP_ENDPOINT=http://... to send them to a collector, "
            "or OTEL_TRACES_EXPORTER=none to drop them",
            reason,
        )
        return StandardError()
    logger.warning(
        "clew: %s, so spans are kept in %s; "
        "look at the conversations with: clew view, or clew sessions",
        reason,
        path,
    )
    return StoreExporter(path)


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        return ConsoleSpanExporter()
    if name == "otlp":
        name = _otlp_by_protocol()
    if name == "otlp_proto_http":
        _check_endpoint()
    for load in _loaders(name):
        try:
            exporter = load()()
        except Exception as error:
            message = f"it raised {type(error).__name__}: {error}"
            raise _Unusable(message) from error
        remember_environment(exporter)
        return exporter
    if package := _PACKAGES.get(name):
        message = f"its package is not installed; python -m pip install {package}"
        raise _Unusable(message)
    points = metadata.entry_points(group="opentelemetry_traces_exporter")
    known = sorted({"otlp", "console", "none", *(point.name for point in points)})
    message = f"no installed package offers it; installed are {', '.join(known)}"
    raise _Unusable(message)


def _loaders(name: str) -> Iterable[Callable[[], Callable[[], SpanExporter]]]:
    """Return functions that load what makes the exporter of this *name*.

    The one that clew itself requires is known; a search reads files of every installed package.
    """
    if name == "otlp_proto_http":
        return [_otlp_proto_http]
    points = metadata.entry_points(group="opentelemetry_traces_exporter", name=name)
    return [point.load for point in points]


def _otlp_proto_http() -> Callable[[], SpanExporter]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter


def _otlp_by_protocol() -> str:
    variables = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next(filter(None, map(_variable, variables)), "http/protobuf")
    if protocol not in _OTLP_BY_PROTOCOL:
        known = " or ".join(_OTLP_BY_PROTOCOL)
        message = f"the protocol {protocol!r} is not known; set {variables[1]} to {known}"
        raise _Unusable(message)
    return _OTLP_BY_PROTOCOL[protocol]


def _check_endpoint() -> None:
    for variable in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        if endpoint := _variable(variable):
            if not _is_url(endpoint):
                _, at, place = endpoint.rpartition("@")
                shown = f"***@{place}" if at else endpoint  # There may be a password before it.
                message = f"{variable}={shown!r} is not a URL; write http://host:4318"
                raise _Unusable(message)
            return


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # A port out of range, half an IPv6 address.
        return False


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()
