"""Puts the address of the server on the spans of gRPC calls, and keeps streams in their session.

OpenTelemetry's instrumentation of gRPC puts on a call's span what is called, and not where. Its
conventions want ``server.address`` and ``server.port`` there, and without them no id could be sent
along. They are in the target that the channel was made for, and are copied from there.

Where the server sends a stream, the span starts, and the metadata is written, when somebody first
reads it, which may be outside the block of the call. So it is read in the context of the call.
"""

from collections.abc import Iterable
from copy import copy
from types import GeneratorType
from typing import Any
from urllib.parse import unquote, urlsplit

from opentelemetry.trace import Tracer

from clew.context.carry import carry
from clew.core import otel_private
from clew.core.containment import contain
from clew.patching.undo import UndoStack
from clew.patching.wrap import Patches

_TARGET = "_clew_target"
_AIO_INTERCEPTORS = 4
"""Which argument of an asynchronous channel they are."""
_DEEPEST = 50
"""Interceptors around one channel: more are not looked through."""


def instrument_streams(undo: UndoStack) -> None:
    """Read each stream of a server in the context of its call."""
    patches = Patches(doing="keeping the streams of gRPC in their session")
    undo.add(patches.undo)
    patches.wrap(otel_private.GRPC_CLIENT_INTERCEPTOR, "intercept_stream", _intercept_stream)


def _intercept_stream(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    stream = wrapped(*args, **kwargs)
    try:
        return carry(stream) if isinstance(stream, GeneratorType) else stream
    except Exception:
        contain("keeping a stream of gRPC in its session")
        return stream


def wrap_channels(patches: Patches) -> None:
    """Put the server's address on the spans of gRPC calls, for channels made from now on."""
    patches.wrap("grpc._channel:Channel", "__init__", _channel_init)
    patches.wrap(otel_private.GRPC_INTERCEPTING, "intercept_channel", _intercept_channel)
    patches.wrap("grpc.aio._channel:Channel", "__init__", _aio_channel_init)


def _channel_init(wrapped: Any, channel: Any, args: tuple[Any, ...], kwargs: Any) -> None:
    setattr(channel, _TARGET, args[0] if args else kwargs.get("target"))
    wrapped(*args, **kwargs)


def _intercept_channel(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    if args:
        args = (args[0], *_with_target(args[1:], _target_of(args[0])))
    return wrapped(*args, **kwargs)


def _target_of(channel: Any) -> object:
    """Return what the innermost channel was made for, or None if that cannot be known."""
    try:
        for _ in range(_DEEPEST):
            target = getattr(channel, "__dict__", {}).get(_TARGET)
            if target is not None:
                return target
            channel = otel_private.channel_within(channel)
    except Exception:
        contain("finding the target of a gRPC channel")
    return None


def _aio_channel_init(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: Any) -> None:
    target = args[0] if args else kwargs.get("target")
    if len(args) > _AIO_INTERCEPTORS:
        found = _with_target(args[_AIO_INTERCEPTORS] or (), target)
        args = (*args[:_AIO_INTERCEPTORS], found, *args[_AIO_INTERCEPTORS + 1 :])
    elif kwargs.get("interceptors"):
        kwargs = {**kwargs, "interceptors": _with_target(kwargs["interceptors"], target)}
    wrapped(*args, **kwargs)


def _with_target(interceptors: Iterable[Any], target: object) -> list[Any]:
    """Return *interceptors* with copies of OpenTelemetry's, which record the *target*.

    Only copies know which server they serve: the application may give the same ones to another
    channel, and a server that is not listed must not be taken for this one.
    """
    given = list(interceptors)
    try:
        attributes = server_attributes(str(target or ""))
        return [_with_attributes(it, attributes) for it in given] if attributes else given
    except Exception:
        contain("reading the target of a gRPC channel")
        return given


def _with_attributes(interceptor: Any, attributes: dict[str, Any]) -> Any:
    tracer = otel_private.tracer_of_interceptor(interceptor)
    if not isinstance(tracer, Tracer):
        return interceptor
    interceptor = copy(interceptor)
    otel_private.set_tracer_of_interceptor(interceptor, _AddressTracer(tracer, attributes))
    return interceptor


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
