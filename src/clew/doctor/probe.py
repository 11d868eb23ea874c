"""Sends the configured OTLP endpoint an empty request, as the exporter would send its spans."""

import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from time import monotonic
from urllib.parse import unquote, urlsplit

from clew.doctor.destinations import GRPC, Destination, destinations
from clew.doctor.findings import Finding, error, ok, warning
from clew.doctor.subject import Examined

_HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
_CERTIFICATE = ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")
_PORTS = {"http": 80, "https": 443}


def check_answers(examined: Examined) -> Iterator[Finding]:
    """Find out whether each configured endpoint answers."""
    if not examined.timeout:
        return
    for destination in destinations(examined):
        try:
            began = monotonic()
            status = _status(examined, destination)
        except (OSError, HTTPException, ValueError) as problem:
            yield _not_answered(destination, problem, examined.timeout)
        else:
            yield _answered(destination, status, (monotonic() - began) * 1000)


def _status(examined: Examined, destination: Destination) -> int:
    """Return the HTTP status of the answer; 200 for gRPC if the port accepts a connection."""
    parts = urlsplit(destination.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    if destination.exporter == GRPC:
        with socket.create_connection((host, port), examined.timeout) as connected:
            if parts.scheme == "https":
                _tls_context(examined).wrap_socket(connected, server_hostname=host).close()
        return HTTPStatus.OK
    connection = HTTPConnection(host, port, timeout=examined.timeout)
    if parts.scheme == "https":
        connection = HTTPSConnection(
            host, port, timeout=examined.timeout, context=_tls_context(examined)
        )
    try:
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        headers = {"Content-Type": "application/x-protobuf", **_headers(examined)}
        connection.request("POST", path, b"", headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _tls_context(examined: Examined) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=examined.variable(*_CERTIFICATE) or None)


def _headers(examined: Examined) -> dict[str, str]:
    """Return the headers that the exporter sends, among them its credentials."""
    found = {}
    for pair in examined.variable(*_HEADERS).split(","):
        name, equals, value = pair.partition("=")
        if equals:
            found[unquote(name.strip())] = unquote(value.strip())
    return found


def _not_answered(to: Destination, problem: Exception, timeout: float) -> Finding:
    fix = f"start the collector, or set {to.variable}"
    match problem:
        case ConnectionRefusedError():
            why = f"nothing listens at {to.url} (connection refused)"
        case TimeoutError():
            why = f"{to.url} does not answer within {timeout:g} seconds"
        case ssl.SSLCertVerificationError():
            why = f"the certificate of {to.url} cannot be verified: {problem.verify_message}"
            fix = f"{_CERTIFICATE[1]}=/path/to/the/authority.pem"
        case ssl.SSLError():
            why = f"{to.url} does not speak TLS as expected: {problem.reason or problem}"
            fix = f"http:// instead of https:// in {to.variable}"
        case socket.gaierror():
            why = f"the host of {to.url} is not known: {problem.strerror}"
            fix = f"correct {to.variable}"
        case _:
            why = f"{to.url} gives no valid answer: {type(problem).__name__}: {problem}"
            fix = f"check that {to.variable} names an OTLP endpoint, with the right scheme"
    return error("answers", f"{why}: spans will be lost", to.url, fix)


def _answered(to: Destination, status: int, took: float) -> Finding:
    if to.exporter == GRPC:
        return ok(
            "answers",
            f"spans are sent to {to.url}, which accepts connections ({took:.0f} ms)",
            to.url,
        )
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return ok(
            "answers", f"spans are sent to {to.url}, which answers {status} ({took:.0f} ms)", to.url
        )
    say = error
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            why = "it does not accept the credentials"
            fix = f"{_HEADERS[1]}=authorization=Bearer%20..., or what else your backend asks for"
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
            why = "nothing accepts spans under this path"
            fix = f"correct {to.variable}: OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/traces appended, "
            fix += "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is"
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            say, why = warning, "to an empty request; it may accept spans all the same"
            fix = "send a span from an app, and look for it there"
        case HTTPStatus.TOO_MANY_REQUESTS:
            say, why = warning, "it accepts no more for now"
            fix = "send fewer spans, or have its limit raised"
        case _:
            why = "spans will be lost"
            fix = f"look into the log of the collector, or set {to.variable}"
    return say("answers", f"{to.url} answers {status}: {why}", to.url, fix)
