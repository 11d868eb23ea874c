"""gRPC: whom a call goes to.

OpenTelemetry's instrumentation of gRPC says on a call's span what is called, and not where. Its
conventions want ``server.address`` and ``server.port`` there, and without them no id could be sent
along. They stand in the target of the channel, and are handed on from there.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

from opentelemetry.trace import Tracer

from clew.core.containment import contain
from clew.patching.wrap import Patches

_TARGET = "_clew_target"


def addressed() -> Patches:
    """Let the spans of gRPC's calls say whom they go to, for channels that are made from now on."""
    patches = Patches()
    patches.wrap("grpc._channel:Channel", "__init__", _making_a_channel)
    patches.wrap("opentelemetry.instrumentation.grpc", "intercept_channel", _intercepting)
    patches.wrap("grpc.aio._channel:Channel", "__init__", _making_an_aio_channel)
    return patches


def _making_a_channel(wrapped: Any, channel: Any, args: tuple[Any, ...], named: Any) -> None:
    setattr(channel, _TARGET, args[0] if args else named.get("target"))
    wrapped(*args, **named)


def _intercepting(wrapped: Any, _: Any, args: tuple[Any, ...], named: Any) -> Any:
    if args:
        _tell(args[1:], getattr(args[0], _TARGET, None))
    return wrapped(*args, **named)


def _making_an_aio_channel(wrapped: Any, _: Any, args: tuple[Any, ...], named: Any) -> None:
    wrapped(*args, **named)
    target = args[0] if args else named.get("target")
    _tell((args[4] if len(args) > 4 else named.get("interceptors")) or (), target)  # noqa: PLR2004


def _tell(interceptors: Iterable[Any], target: object) -> None:
    """Tell OpenTelemetry's among *interceptors*, each of which serves one channel, its target."""
    try:
        said = server_of(str(target or ""))
        for it in interceptors:
            tracer = getattr(it, "_tracer", None)
            of_opentelemetry = type(it).__module__.startswith("opentelemetry.instrumentation.grpc")
            if said and of_opentelemetry and isinstance(tracer, Tracer):
                it._tracer = _AddressedTracer(tracer, said)  # noqa: SLF001 - it offers no other way
    except Exception:
        contain("reading the target of a gRPC channel")


class _AddressedTracer:
    """A tracer whose spans say where the call goes."""

    def __init__(self, tracer: Tracer, said: dict[str, Any]) -> None:
        self._tracer, self._said = tracer, said

    def start_as_current_span(self, name: str, **named: Any) -> Any:
        """Start a span of a call."""
        named["attributes"] = {**(named.get("attributes") or {}), **self._said}
        return self._tracer.start_as_current_span(name, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracer, name)


def server_of(target: str) -> dict[str, Any]:
    """Return the attributes that say whom *target* is, if it is one host: a name or an address."""
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
