"""Where the spans of a process go, as the OTEL_* variables have it. Nobody is asked for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from urllib.parse import urlsplit

from clew.doctor.findings import Finding, error, note, ok, warning
from clew.doctor.subject import Examined

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
    """The variable that names it, or would."""


def wanted(it: Examined) -> list[str]:
    """Return the exporters that the variables ask for; ``otlp`` by its protocol."""
    names = [name.strip() for name in it.variable("OTEL_TRACES_EXPORTER").split(",")]
    names = [name for name in names if name]
    if not names and it.variable(*ENDPOINT, *_PROTOCOL):
        names = ["otlp"]
    protocol = it.variable(*_PROTOCOL) or "http/protobuf"
    return [_PROTOCOLS.get(protocol, "") if name == "otlp" else name for name in names]


def destinations(it: Examined) -> Iterator[Destination]:
    """Yield the OTLP endpoints that spans are sent to, as far as they are URLs."""
    for exporter in wanted(it):
        if exporter not in {HTTP, GRPC}:
            continue
        variable = it.named(*ENDPOINT)
        url = it.variable(*ENDPOINT)
        if exporter == HTTP:
            url = url or "http://localhost:4318"
            if variable == ENDPOINT[1]:
                url = f"{url.rstrip('/')}/v1/traces"
        else:
            url = url or "http://localhost:4317"
            url = url if "://" in url else f"http://{url}"
        if _is_url(url):
            yield Destination(exporter, url, variable)


def check_exporters(it: Examined) -> Iterator[Finding]:
    """Say which exporters are configured, and find those that cannot be had."""
    if not it.variable(*_ANY):
        yield note(
            "exporter",
            "no exporter is configured: spans are written to standard error",
            fix="OTEL_EXPORTER_OTLP_ENDPOINT=http://...:4318",
        )
        return
    protocol = it.variable(*_PROTOCOL)
    if protocol and protocol not in _PROTOCOLS:
        variable = it.named(*_PROTOCOL)
        yield error(
            "exporter",
            f"{variable}={protocol} is not a known protocol",
            variable,
            f"{variable}=http/protobuf, or grpc",
        )
    points = {point.name for point in metadata.entry_points(group=GROUP)}
    for name in filter(None, wanted(it)):
        if name.lower() == "none":
            yield warning(
                "exporter",
                "OTEL_TRACES_EXPORTER=none: spans are made, and dropped",
                fix="OTEL_TRACES_EXPORTER=otlp",
            )
        elif name in points:
            # Of an OTLP endpoint more can be said, by `check_endpoint` and `check_answers`.
            if name not in {HTTP, GRPC}:
                yield ok("exporter", f"spans are given to the exporter {name}", name)
            elif not it.timeout and (to := next(destinations(it), None)):
                told = "nobody asked whether anything answers there"
                yield ok("exporter", f"spans are sent to {to.url} by {name}; {told}", name)
        elif name in _PACKAGES:
            yield error(
                "exporter",
                f"the exporter {name} is configured, but its package is not installed",
                name,
                f"python -m pip install {_PACKAGES[name]}",
            )
        else:
            known = ", ".join(sorted(points | {"otlp", "console", "none"}))
            yield error(
                "exporter",
                f"OTEL_TRACES_EXPORTER={name}: no installed package offers it; there are {known}",
                name,
                "OTEL_TRACES_EXPORTER=otlp",
            )


def check_endpoint(it: Examined) -> Iterator[Finding]:
    """Find an endpoint that is no URL, or one whose port speaks the other protocol."""
    variable, url = it.named(*ENDPOINT), it.variable(*ENDPOINT)
    if not url or not {HTTP, GRPC} & set(wanted(it)):
        return
    grpc = GRPC in wanted(it)
    if not _is_url(url if "://" in url or not grpc else f"http://{url}"):
        yield error("endpoint", f"{variable}={url} is not a URL", variable, "http://host:4318")
        return
    port = urlsplit(url).port
    if port == (4318 if grpc else 4317):
        other = "http/protobuf" if grpc else "grpc"
        yield warning(
            "endpoint",
            f"{variable}={url}: port {port} is the one where collectors usually speak {other}",
            variable,
            f"OTEL_EXPORTER_OTLP_PROTOCOL={other}, or port {4317 if grpc else 4318}",
        )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # A port out of range, half an IPv6 address.
        return False
