"""Puts the address of the server on the spans of gRPC calls.

OpenTelemetry's instrumentation of gRPC puts on a call's span what is called, and not where. Its
conventions want ``server.address`` and ``server.port`` there, and without them no id could be sent
along. They are in the target that the channel was made for, and are copied from there.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

from opentelemetry.trace import Tracer

from clew.core import otel_private
from clew.core.containment import contain
from clew.patching.wrap import Patches

_TARGET = "_clew_target"


def wrap_channels(patches: Patches) -> None:
    """Put the server's address on the spans of gRPC calls, for channels made from now on."""
    patches.wrap("grpc._channel:Channel", "__init__", _channel_init)
    patches.wrap("opentelemetry.instrumentation.grpc", "intercept_channel", _intercept_channel)
    patches.wrap("grpc.aio._channel:Channel", "__init__", _aio_channel_init)


def _channel_init(wrapped: Any, channel: Any, args: tuple[Any, ...], kwargs: Any) -> None:
    setattr(channel, _TARGET, args[0] if args else kwargs.get("target"))
    wrapped(*args, **kwargs)


def _intercept_channel(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    if args:
        _set_target(args[1:], getattr(args[0], _TARGET, None))
    return wrapped(*args, **kwargs)


def _aio_channel_init(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: Any) -> None:
    wrapped(*args, **kwargs)
    target = args[0] if args else kwargs.get("target")
    interceptors = (args[4] if len(args) > 4 else kwargs.get("interceptors")) or ()  # noqa: PLR2004
    _set_target(interceptors, target)


def _set_target(interceptors: Iterable[Any], target: object) -> None:
    """Let OpenTelemetry's *interceptors*, each of which serves one channel, record its *target*."""
    try:
        attributes = server_attributes(str(target or ""))
        for interceptor in interceptors:
            tracer = otel_private.tracer_of_interceptor(interceptor)
            if attributes and isinstance(tracer, Tracer):
                with_address = _AddressTracer(tracer, attributes)
                otel_private.set_tracer_of_interceptor(interceptor, with_address)
    except Exception:
        contain("reading the target of a gRPC channel")


class _AddressTracer:
    """A tracer that puts the server's address on each span."""

    def __init__(self, tracer: Tracer, attributes: dict[str, Any]) -> None:
        self._tracer, self._attributes = tracer, attributes

    def start_as_current_span(self, name: str, **kwargs: Any) -> Any:
        """Start a span of a call."""
        kwargs["attributes"] = {**(kwargs.get("attributes") or {}), **self._attributes}
        return self._tracer.start_as_current_span(name, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracer, name)


def server_attributes(target: str) -> dict[str, Any]:
    """Return the span attributes for *target*, if it is one host: a name or an address."""
    scheme, found, rest = target.partition(":")
    if found and scheme in {"ipv4", "ipv6"}:
        address = unquote(rest)
        if "," in address:
            return {}
    elif found and scheme == "dns":
        address = unquote(rest.rpartition("/")[2])
    elif "/" in target or scheme in {"unix", "unix-abstract", "vsock"}:
        return {}
    else:
        address = target
    if address.count(":") > 1 and not address.startswith("["):
        address = f"[{address}]"
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return {}
    if not host:
        return {}
    return {"server.address": host} | ({"server.port": port} if port else {})
