"""Where a request goes, read off the span of the request, and whether an id may go along."""

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

from clew.core.host_patterns import HostPattern, normalized_host
from clew.propagation.model_hosts import provider_at
from clew.spans.model_traffic import is_part_of_model_call

_URLS = ("url.full", "http.url")
_NAMES = (("server.address", "server.port"), ("net.peer.name", "net.peer.port"))
"""OpenTelemetry's present conventions, and those before."""
_OF_A_REQUEST = ("http.request.method", "http.method", "rpc.system", "rpc.system.name")
_PORTS = {"http": 80, "https": 443}


class Destination(Enum):
    """Who is at the other end, as far as ids are concerned."""

    LISTED = auto()
    STRANGER = auto()
    """Not on the list, or not known."""
    MODEL = auto()
    """A model provider, or whoever a model call talks to."""


class Host(NamedTuple):
    """A host that a request goes to; no name where clients could disagree on it."""

    name: str | None
    port: int | None


def destination_of(span: Any, listed: Iterable[HostPattern]) -> Destination:
    """Return where the request goes whose span is the current one.

    A span may name its host more than once. All names have to be on the list, because it is not
    said which of them counts.
    """
    if is_part_of_model_call(span):
        return Destination.MODEL
    if not span.is_recording() or getattr(span, "kind", None) is not SpanKind.CLIENT:
        return Destination.STRANGER
    return _among(tuple(_hosts_of(getattr(span, "attributes", None) or {})), listed)


def destination_at(url: object, listed: Iterable[HostPattern]) -> Destination:
    """Return where a request to *url* goes."""
    return _among((_host_in(str(url)),), listed)


def _among(hosts: tuple[Host, ...], listed: Iterable[HostPattern]) -> Destination:
    if any(host.name is not None and provider_at(host.name) for host in hosts):
        return Destination.MODEL
    patterns = tuple(listed)
    if hosts and all(_is_listed(host, patterns) for host in hosts):
        return Destination.LISTED
    return Destination.STRANGER


def _is_listed(host: Host, patterns: tuple[HostPattern, ...]) -> bool:
    name, port = host
    return name is not None and any(pattern.matches(name, port) for pattern in patterns)


def _hosts_of(said: Mapping[str, Any]) -> Iterator[Host]:
    urls = [_host_in(str(said[key])) for key in _URLS if key in said]
    yield from urls
    if not urls and not any(key in said for key in _OF_A_REQUEST):
        return  # A database's, say. Whatever is sent while it is current, it does not say where to.
    known = urls[0].port if urls else None
    for name, port in _NAMES:
        if name in said:
            value = said.get(port, known)
            yield Host(normalized_host(str(said[name])), value if isinstance(value, int) else None)


def _host_in(url: str) -> Host:
    """Return the host of *url*; no name where another parser could find another host in it."""
    if not url.isprintable() or "\\" in url or " " in url:
        return Host(None, None)
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme.lower())
    except ValueError:
        return Host(None, None)
    return Host(normalized_host(parts.hostname or ""), port)
