"""Checks of where the OTEL_* variables send spans. Nothing is sent; `probe.py` does that."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from urllib.parse import urlsplit

from clew.core.settings import STORE
from clew.doctor.findings import Finding, error, note, ok, warning
from clew.doctor.subject import Examined
from clew.sessions.engines.location import shown
from clew.store.location import store_path

GROUP = "opentelemetry_traces_exporter"
HTTP = "otlp_proto_http"
GRPC = "otlp_proto_grpc"
_PACKAGES = {
    HTTP: "opentelemetry-exporter-otlp-proto-http",
    GRPC: "opentelemetry-exporter-otlp-proto-grpc",
    "zipkin": "opentelemetry-exporter-zipkin",
    "zipkin_json": "opentelemetry-exporter-zipkin-json",
}
_PROTOCOLS = {"http/protobuf": HTTP, "grpc": GRPC}
_PROTOCOL = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
ENDPOINT = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_ANY = ("OTEL_TRACES_EXPORTER", *_PROTOCOL, *ENDPOINT)


@dataclass(frozen=True)
class Destination:
    """One OTLP endpoint."""

    exporter: str
    url: str
    variable: str
    """The variable that sets the URL, or the one to set where it is the default."""

    @property
    def shown(self) -> str:
        """The URL without what is never printed: a password, and a query, where keys may be."""
        return shown(self.url)


def uses_store(examined: Examined) -> bool:
    """Whether no exporter is configured, so that the store is the default, if it is not off."""
    return not examined.variable(*_ANY)


def requested_exporters(examined: Examined) -> list[str]:
    """Return the exporters that the variables name; ``otlp`` as the exporter of its protocol."""
    names = [name.strip() for name in examined.variable("OTEL_TRACES_EXPORTER").split(",")]
    names = [name for name in names if name]
    if not names and examined.variable(*ENDPOINT, *_PROTOCOL):
        names = ["otlp"]
    protocol = examined.variable(*_PROTOCOL) or "http/protobuf"
    return [_PROTOCOLS.get(protocol, "") if name == "otlp" else name for name in names]


def destinations(examined: Examined) -> Iterator[Destination]:
    """Yield the OTLP endpoints that spans are sent to; one that is not a URL is left out."""
    for exporter in requested_exporters(examined):
        if exporter not in {HTTP, GRPC}:
            continue
        variable = examined.named(*ENDPOINT)
        url = examined.variable(*ENDPOINT)
        if exporter == HTTP:
            url = url or "http://localhost:4318"
            if variable == ENDPOINT[1]:
                url = f"{url.rstrip('/')}/v1/traces"
        else:
            url = url or "http://localhost:4317"
            url = url if "://" in url else f"http://{url}"
        if _is_url(url):
            yield Destination(exporter, url, variable)


def check_exporters(examined: Examined) -> Iterator[Finding]:
    """Report which exporters are configured, and find those that are unknown or not installed."""
    if uses_store(examined):
        path = store_path(examined.variable(STORE.name))
        where = "kept in the store" if path else "written to standard error (CLEW_STORE=off)"
        yield note(
            "exporter",
            f"no exporter is configured: spans are {where}",
            fix="OTEL_EXPORTER_OTLP_ENDPOINT=http://...:4318, to send them to a collector instead",
        )
        return
    protocol = examined.variable(*_PROTOCOL)
    if protocol and protocol not in _PROTOCOLS:
        variable = examined.named(*_PROTOCOL)
        yield error(
            "exporter",
            f"{variable}={protocol} is not a known protocol",
            variable,
            f"{variable}=http/protobuf, or grpc",
        )
    installed = {entry_point.name for entry_point in metadata.entry_points(group=GROUP)}
    for name in filter(None, requested_exporters(examined)):
        if name.lower() == "none":
            yield warning(
                "exporter",
                "OTEL_TRACES_EXPORTER=none: spans are made and then dropped",
                fix="OTEL_TRACES_EXPORTER=otlp",
            )
        elif name in installed:
            # `check_endpoint` and `check_answers` report on OTLP endpoints.
            if name not in {HTTP, GRPC}:
                yield ok("exporter", f"spans are passed to the exporter {name}", name)
            elif not examined.timeout and (to := next(destinations(examined), None)):
                unchecked = "whether anything answers there was not checked"
                yield ok("exporter", f"spans are sent to {to.shown} by {name}; {unchecked}", name)
        elif name in _PACKAGES:
            yield error(
                "exporter",
                f"the exporter {name} is configured, but its package is not installed",
                name,
                f"python -m pip install {_PACKAGES[name]}",
            )
        else:
            known = ", ".join(sorted(installed | {"otlp", "console", "none"}))
            yield error(
                "exporter",
                f"OTEL_TRACES_EXPORTER={name}: no installed package offers it; there are {known}",
                name,
                "OTEL_TRACES_EXPORTER=otlp",
            )


def check_endpoint(examined: Examined) -> Iterator[Finding]:
    """Find an endpoint that is not a URL, or a port that usually speaks the other protocol."""
    variable, url = examined.named(*ENDPOINT), examined.variable(*ENDPOINT)
    if not url or not {HTTP, GRPC} & set(requested_exporters(examined)):
        return
    grpc = GRPC in requested_exporters(examined)
    if not _is_url(url if "://" in url or not grpc else f"http://{url}"):
        yield error(
            "endpoint", f"{variable}={shown(url)} is not a URL", variable, "http://host:4318"
        )
        return
    port = urlsplit(url).port
    if port == (4318 if grpc else 4317):
        other = "http/protobuf" if grpc else "grpc"
        yield warning(
            "endpoint",
            f"{variable}={shown(url)}: port {port} is the one where collectors usually speak "
            f"{other}",
            variable,
            f"OTEL_EXPORTER_OTLP_PROTOCOL={other}, or port {4317 if grpc else 4318}",
        )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # A port out of range, an incomplete IPv6 address.
        return False
