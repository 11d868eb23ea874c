"""Sends the configured OTLP endpoint an empty request, as the exporter would send its spans."""

import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from http.client import BadStatusLine
from time import monotonic
from urllib.parse import unquote, urlsplit

import requests

from clew.doctor.destinations import GRPC, Destination, destinations
from clew.doctor.findings import Finding, error, ok, warning
from clew.doctor.subject import Examined

_HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
_CERTIFICATE = ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")
_CERTIFICATE_FOR_REQUESTS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CLIENT_CERTIFICATE = (
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
)
_CLIENT_KEY = ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY")
_PORTS = {"http": 80, "https": 443}


def check_answers(examined: Examined) -> Iterator[Finding]:
    """Find out whether each configured endpoint answers."""
    if not examined.timeout:
        return
    for destination in destinations(examined):
        try:
            began = monotonic()
            status = _status(examined, destination)
        except (OSError, ValueError) as problem:
            yield _not_answered(examined, destination, problem)
        else:
            yield _answered(destination, status, (monotonic() - began) * 1000)


def _status(examined: Examined, destination: Destination) -> int:
    """Return the HTTP status of the answer; 200 for gRPC if the port accepts a connection.

    The exporter for HTTP sends with requests, too: with its proxies, and the password of the URL.
    """
    if destination.exporter == GRPC:
        _connect(examined, destination)
        return HTTPStatus.OK
    with requests.Session() as session:
        session.verify = examined.variable(*_CERTIFICATE) or True
        certificate, key = (examined.variable(*it) for it in (_CLIENT_CERTIFICATE, _CLIENT_KEY))
        session.cert = (certificate, key) if certificate and key else certificate or None
        headers = {"Content-Type": "application/x-protobuf", **_headers(examined)}
        with session.post(
            destination.url,
            data=b"",
            headers=headers,
            timeout=examined.timeout,
            allow_redirects=False,
            stream=True,
        ) as answer:
            return answer.status_code


def _connect(examined: Examined, destination: Destination) -> None:
    parts = urlsplit(destination.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    with socket.create_connection((host, port), examined.timeout) as connected:
        if parts.scheme == "https":
            _tls_context(examined).wrap_socket(connected, server_hostname=host).close()


def _tls_context(examined: Examined) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=examined.variable(*_CERTIFICATE) or None)
    if certificate := examined.variable(*_CLIENT_CERTIFICATE):
        context.load_cert_chain(certificate, examined.variable(*_CLIENT_KEY) or None)
    return context


def _headers(examined: Examined) -> dict[str, str]:
    """Return the headers that the exporter sends, among them its credentials."""
    found = {}
    for pair in examined.variable(*_HEADERS).split(","):
        name, equals, value = pair.partition("=")
        if equals:
            found[unquote(name.strip())] = unquote(value.strip())
    return found


def _not_answered(examined: Examined, to: Destination, problem: Exception) -> Finding:
    fix = f"start the collector, or set {to.variable}"
    if isinstance(problem, requests.exceptions.ProxyError):
        why = f"the proxy for {to.shown} cannot be used: {_text(_cause(problem))}"
        fix = "correct HTTP_PROXY or HTTPS_PROXY, or name the host in NO_PROXY"
        return error("answers", f"{why}: spans will be lost", to.shown, fix)
    match _cause(problem):
        case ConnectionRefusedError():
            why = f"nothing listens at {to.shown} (connection refused)"
        case TimeoutError():
            why = f"{to.shown} does not answer within {examined.timeout:g} seconds"
        case ssl.SSLCertVerificationError() as cause:
            why = f"the certificate of {to.shown} cannot be verified: {cause.verify_message}"
            fix = f"{_certificate_variable(examined, to)}=/path/to/the/authority.pem"
        case ssl.SSLError() as cause:
            why = f"{to.shown} does not speak TLS as expected: {cause.reason or cause}"
            fix = f"http:// instead of https:// in {to.variable}"
        case socket.gaierror() as cause:
            why = f"the host of {to.shown} is not known: {cause.strerror}"
            fix = f"correct {to.variable}"
        case cause:
            why = f"{to.shown} gives no valid answer: {_text(cause)}"
            fix = f"check that {to.variable} names an OTLP endpoint, with the right scheme"
    return error("answers", f"{why}: spans will be lost", to.shown, fix)


def _certificate_variable(examined: Examined, to: Destination) -> str:
    """Return the variable that says whose certificates count; that of requests comes first."""
    if to.exporter != GRPC and examined.variable(*_CERTIFICATE_FOR_REQUESTS):
        return examined.named(*_CERTIFICATE_FOR_REQUESTS)
    return examined.named(*_CERTIFICATE)


def _cause(problem: BaseException) -> BaseException:
    """Return the exception that *problem* began with: requests and urllib3 raise others over it."""
    while (cause := problem.__cause__ or problem.__context__) is not None:
        problem = cause
    return problem


def _text(problem: BaseException) -> str:
    """Describe *problem*; the exceptions of requests may have a URL or a header in their text."""
    name = type(problem).__name__
    of_requests = isinstance(problem, requests.RequestException)
    is_safe = isinstance(problem, OSError | BadStatusLine) and not of_requests
    return f"{name}: {problem}" if is_safe else name


def _answered(to: Destination, status: int, took: float) -> Finding:
    if to.exporter == GRPC:
        return ok(
            "answers",
            f"spans are sent to {to.shown}, which accepts connections ({took:.0f} ms)",
            to.shown,
        )
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return ok(
            "answers",
            f"spans are sent to {to.shown}, which answers {status} ({took:.0f} ms)",
            to.shown,
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
    return say("answers", f"{to.shown} answers {status}: {why}", to.shown, fix)
