"""Knocks at the configured OTLP endpoint, as the exporter will: with an empty request."""

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
_PLAIN = {"http": 80, "https": 443}


def check_answers(it: Examined) -> Iterator[Finding]:
    """Find out whether each configured endpoint answers."""
    if not it.timeout:
        return
    for destination in destinations(it):
        try:
            began = monotonic()
            status = _knock(it, destination)
        except (OSError, HTTPException, ValueError) as problem:
            yield _no_answer(destination, problem, it.timeout)
        else:
            yield _answer(destination, status, (monotonic() - began) * 1000)


def _knock(it: Examined, destination: Destination) -> int:
    """Return the status of an answer; of gRPC, only that somebody listens."""
    parts = urlsplit(destination.url)
    host, port = parts.hostname or "", parts.port or _PLAIN[parts.scheme]
    if destination.exporter == GRPC:
        with socket.create_connection((host, port), it.timeout) as plain:
            if parts.scheme == "https":
                _tls(it).wrap_socket(plain, server_hostname=host).close()
        return HTTPStatus.OK
    connection = HTTPConnection(host, port, timeout=it.timeout)
    if parts.scheme == "https":
        connection = HTTPSConnection(host, port, timeout=it.timeout, context=_tls(it))
    try:
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        headers = {"Content-Type": "application/x-protobuf", **_headers(it)}
        connection.request("POST", path, b"", headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _tls(it: Examined) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=it.variable(*_CERTIFICATE) or None)


def _headers(it: Examined) -> dict[str, str]:
    """Return the headers that the exporter sends, among them what it authenticates with."""
    found = {}
    for pair in it.variable(*_HEADERS).split(","):
        name, equals, value = pair.partition("=")
        if equals:
            found[unquote(name.strip())] = unquote(value.strip())
    return found


def _no_answer(to: Destination, problem: Exception, timeout: float) -> Finding:
    fix = f"start the collector, or set {to.variable}"
    match problem:
        case ConnectionRefusedError():
            why = f"nobody listens at {to.url} (connection refused)"
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
            why = f"{to.url} gives no proper answer: {type(problem).__name__}: {problem}"
            fix = f"is it an OTLP endpoint, and its scheme right? {to.variable}"
    return error("answers", f"{why}: spans will be lost", to.url, fix)


def _answer(to: Destination, status: int, took: float) -> Finding:
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
            why = "nothing takes spans under this path"
            fix = f"correct {to.variable}: OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/traces appended, "
            fix += "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is"
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            say, why = warning, "to an empty request, which may be all that is wrong"
            fix = "let an app send a span, and look for it there"
        case HTTPStatus.TOO_MANY_REQUESTS:
            say, why = warning, "it takes no more for now"
            fix = "send less, or ask for more"
        case _:
            why = "spans will be lost"
            fix = f"look into the log of the collector, or set {to.variable}"
    return say("answers", f"{to.url} answers {status}: {why}", to.url, fix)
