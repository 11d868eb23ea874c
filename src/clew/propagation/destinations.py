"""Finds out, from the span of a request, to which host it goes and whether ids may go along."""

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

from clew.core.host_patterns import HostPattern, normalized_host
from clew.propagation.model_hosts import provider_at
from clew.spans.model_traffic import is_part_of_model_call

_URLS = ("url.full", "http.url")
_ADDRESSES = (("server.address", "server.port"), ("net.peer.name", "net.peer.port"))
"""Host and port, in OpenTelemetry's present conventions and in the earlier ones."""
_REQUEST_KEYS = ("http.request.method", "http.method", "rpc.system", "rpc.system.name")
_PORTS = {"http": 80, "https": 443}


class Destination(Enum):
    """What kind of host a request goes to."""

    LISTED = auto()
    """On the list of hosts that may receive ids."""
    UNLISTED = auto()
    """Not on the list, or not known."""
    MODEL = auto()
    """A model provider, or any host that a model call goes to."""


class Host(NamedTuple):
    """A host that a request goes to; without a name where HTTP clients could disagree on it."""

    name: str | None
    port: int | None


def destination_of(span: Any, listed: Iterable[HostPattern]) -> Destination:
    """Return what kind of host the request goes to that *span* stands for.

    A span may name its host more than once. All names have to be on the list, because it is not
    known which of them counts.
    """
    if is_part_of_model_call(span):
        return Destination.MODEL
    if not span.is_recording() or getattr(span, "kind", None) is not SpanKind.CLIENT:
        return Destination.UNLISTED
    return _classify(tuple(_hosts_in(getattr(span, "attributes", None) or {})), listed)


def destination_at(url: object, listed: Iterable[HostPattern]) -> Destination:
    """Return what kind of host a request to *url* goes to."""
    return _classify((_host_in(str(url)),), listed)


def _classify(hosts: tuple[Host, ...], listed: Iterable[HostPattern]) -> Destination:
    if any(host.name is not None and provider_at(host.name) for host in hosts):
        return Destination.MODEL
    patterns = tuple(listed)
    if hosts and all(_is_listed(host, patterns) for host in hosts):
        return Destination.LISTED
    return Destination.UNLISTED


def _is_listed(host: Host, patterns: tuple[HostPattern, ...]) -> bool:
    name, port = host
    return name is not None and any(pattern.matches(name, port) for pattern in patterns)


def _hosts_in(attributes: Mapping[str, Any]) -> Iterator[Host]:
    hosts = [_host_in(str(attributes[key])) for key in _URLS if key in attributes]
    yield from hosts
    if not hosts and not any(key in attributes for key in _REQUEST_KEYS):
        return  # The span of a database call, say: it does not say where other requests go.
    default_port = hosts[0].port if hosts else None
    for name_key, port_key in _ADDRESSES:
        if name_key in attributes:
            port = attributes.get(port_key, default_port)
            name = normalized_host(str(attributes[name_key]))
            yield Host(name, port if isinstance(port, int) else None)


def _host_in(url: str) -> Host:
    """Return the host of *url*; without a name where another parser could find another host."""
    if not url.isprintable() or "\\" in url or " " in url:
        return Host(None, None)
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme.lower())
    except ValueError:
        return Host(None, None)
    return Host(normalized_host(parts.hostname or ""), port)
