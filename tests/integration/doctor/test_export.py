"""Checks of the configured exporters, and of endpoints that answer or do not."""

import shutil
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer

import certifi
import pytest

from tests.support.server_thread import serving

OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_no_exporter_and_no_endpoint(doctor):
    diagnosis = doctor()
    assert diagnosis.severity("exporter") == "note"
    assert diagnosis.found("answers") == []
    assert doctor(OTEL_TRACES_EXPORTER="none").severity("exporter") == "warning"
    assert doctor(OTEL_TRACES_EXPORTER="console").severity("exporter") == "ok"


@pytest.mark.parametrize(
    ("environment", "about", "part"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin_json"}, "zipkin_json", "opentelemetry-exporter-zipkin-"),
        ({"OTEL_TRACES_EXPORTER": "otpl"}, "otpl", "there are"),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"},
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http/protobuf, or grpc",
        ),
    ],
)
def test_exporters_that_are_unknown_or_not_installed(doctor, environment, about, part):
    diagnosis = doctor(**environment)
    assert (diagnosis.status, diagnosis.severity("exporter", about)) == (1, "error")
    assert diagnosis.says("exporter", part, about=about)


@pytest.mark.parametrize("url", ["localhost:4318", "ftp://host", "http://", "http://host:99999"])
def test_an_endpoint_that_is_not_a_url(doctor, url):
    diagnosis = doctor(**{OTLP: url})
    assert (diagnosis.status, diagnosis.severity("endpoint")) == (1, "error")
    assert diagnosis.found("answers") == diagnosis.found("exporter") == []


@pytest.mark.parametrize(
    ("protocol", "port", "severity"),
    [
        ("http/protobuf", 4317, "warning"),
        ("http/protobuf", 4318, None),
        ("grpc", 4318, "warning"),
        ("grpc", 4317, None),
    ],
)
def test_the_port_of_the_other_protocol(doctor, protocol, port, severity):
    environment = {OTLP: f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    assert doctor("--timeout", "0", **environment).severity("endpoint") == severity


def test_an_endpoint_that_answers(doctor, collector):
    with collector("live") as live:
        diagnosis = doctor(**{OTLP: live.endpoint})
        assert live.request_received.is_set()
        assert not live.names
    assert diagnosis.severity("answers") == "ok"
    assert diagnosis.says("answers", f"sent to {live.endpoint}/v1/traces, which answers 200")
    assert diagnosis.status == 0


def test_nothing_is_sent_with_a_timeout_of_zero(doctor, collector):
    with collector("live") as live:
        diagnosis = doctor("--timeout", "0", **{OTLP: live.endpoint})
        assert not live.request_received.is_set()
    assert diagnosis.found("answers") == []
    assert diagnosis.severity("exporter") == "ok"
    assert diagnosis.says("exporter", "not checked")


@pytest.mark.parametrize(
    ("mood", "severity", "part"),
    [
        ("404", "error", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is"),
        ("401", "error", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("403", "error", "credentials"),
        ("500", "error", "spans will be lost"),
        ("400", "warning", "empty request"),
        ("429", "warning", "accepts no more"),
    ],
)
def test_an_endpoint_that_answers_with_an_error(doctor, collector, mood, severity, part):
    with collector(mood) as other:
        diagnosis = doctor(**{OTLP: other.endpoint})
    assert diagnosis.severity("answers") == severity
    assert diagnosis.says("answers", f"answers {mood}", part)
    assert diagnosis.status == (severity == "error")


def test_an_endpoint_that_hangs(doctor, collector):
    with collector("hanging") as hanging:
        diagnosis = doctor("--timeout", "0.3", **{OTLP: hanging.endpoint})
    assert (diagnosis.status, diagnosis.severity("answers")) == (1, "error")
    assert diagnosis.says("answers", "does not answer within 0.3 seconds")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nothing_listens(doctor, dead_endpoint, protocol):
    diagnosis = doctor(**{OTLP: dead_endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    assert diagnosis.status == 1
    assert diagnosis.says("answers", "connection refused", OTLP)
    assert "ok" not in {finding["severity"] for finding in diagnosis.found("exporter")}


def test_a_grpc_port_that_accepts_connections(doctor, collector):
    with collector("live") as live:
        diagnosis = doctor(**{OTLP: live.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert diagnosis.severity("answers") == "ok"


def test_an_unknown_host(doctor):
    diagnosis = doctor(**{OTLP: "http://nowhere.invalid:4318"})
    assert diagnosis.says("answers", "nowhere.invalid", "spans will be lost")


def test_https_for_an_endpoint_without_tls(doctor, collector):
    with collector("live") as live:
        diagnosis = doctor(**{OTLP: live.endpoint.replace("http:", "https:")})
    assert diagnosis.severity("answers") == "error"
    assert diagnosis.says("answers", "TLS", "http:// instead of https://")


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.headers_seen.append(dict(self.headers))
        self.server.paths_seen.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Log nothing."""


class _Server(HTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.headers_seen, self.paths_seen = [], []

    def handle_error(self, *_):
        """Log nothing: a client that does not trust the certificate disconnects."""


NO_BUNDLE = {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": ""}
"""A machine that has a proxy of its own may set these."""


@pytest.fixture
def tls_collector(tmp_path):
    """A collector with a self-signed certificate."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    request = f"req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {key} -out {certificate}"
    subject = "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([openssl, *request.split(), *subject.split()], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = _Server()
    server.context = context
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.certificate, server.key = certificate, key
    server.url = f"https://localhost:{server.server_port}"
    with serving(server):
        yield server


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_self_signed_certificate(doctor, tls_collector, protocol):
    environment = {OTLP: tls_collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol, **NO_BUNDLE}
    diagnosis = doctor(**environment)
    assert diagnosis.severity("answers") == "error"
    assert diagnosis.says("answers", "certificate", "OTEL_EXPORTER_OTLP_CERTIFICATE=")
    trusted = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tls_collector.certificate)}
    assert doctor(**environment, **trusted).severity("answers") == "ok"


def test_the_configured_headers_are_sent_and_not_shown(doctor, tls_collector):
    diagnosis = doctor(
        **{
            OTLP: tls_collector.url,
            **NO_BUNDLE,
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tls_collector.certificate),
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cr3t,x-other=1",
        }
    )
    (seen,) = tls_collector.headers_seen
    assert (seen["authorization"], seen["x-other"]) == ("Bearer s3cr3t", "1")
    assert "s3cr3t" not in str(diagnosis.data)


def test_a_bundle_of_requests_replaces_the_configured_certificate(doctor, tls_collector):
    """In the exporter, too, so that is the variable to correct."""
    own = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tls_collector.certificate)}
    bundle = {**NO_BUNDLE, "REQUESTS_CA_BUNDLE": certifi.where()}
    diagnosis = doctor(**{OTLP: tls_collector.url, **own, **bundle})
    assert diagnosis.says("answers", "certificate", "REQUESTS_CA_BUNDLE=/path")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_client_certificate_is_sent(doctor, tls_collector, protocol):
    tls_collector.context.maximum_version = ssl.TLSVersion.TLSv1_2  # The handshake tells of it.
    tls_collector.context.verify_mode = ssl.CERT_REQUIRED
    tls_collector.context.load_verify_locations(tls_collector.certificate)
    environment = {
        OTLP: tls_collector.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tls_collector.certificate),
        **NO_BUNDLE,
    }
    assert doctor(**environment).severity("answers") == "error"
    of_client = {
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(tls_collector.certificate),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(tls_collector.key),
    }
    assert doctor(**environment, **of_client).severity("answers") == "ok"


@pytest.fixture
def seen():
    """A server that accepts everything, and remembers what it was sent."""
    server = _Server()
    with serving(server):
        yield server


def test_a_password_and_a_key_in_the_url_are_sent_and_not_shown(doctor, seen):
    url = f"http://ada:s3cretpw@127.0.0.1:{seen.server_port}/v1/traces?api_key=s3cretkey"
    diagnosis = doctor(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=url)
    assert diagnosis.severity("answers") == "ok"
    assert seen.headers_seen[0]["Authorization"] == "Basic YWRhOnMzY3JldHB3"
    assert seen.paths_seen == ["/v1/traces?api_key=s3cretkey"]
    assert "s3cret" not in str(diagnosis.data)


@pytest.mark.parametrize(
    ("url", "protocol", "options"),
    [
        ("http://HOST:1/QUERY", "http/protobuf", ()),
        ("http://HOST:1/QUERY", "grpc", ()),
        ("http://HOST:4317/QUERY", "http/protobuf", ("--timeout", "0")),
        ("http://HOST:99999/QUERY", "http/protobuf", ()),
        ("ftp://HOST/QUERY", "grpc", ()),
    ],
)
def test_no_sentence_shows_what_is_secret_in_a_url(clew, url, protocol, options):
    url = url.replace("HOST", "ada:s3cretpw@127.0.0.1").replace("QUERY", "?api_key=s3cretkey")
    done = clew(*options, **{OTLP: url, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    assert "//127.0.0.1" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


def test_the_proxy_of_the_environment_is_used(doctor, seen, dead_endpoint):
    endpoint = {OTLP: "http://collector.invalid:4318", "NO_PROXY": "", "no_proxy": ""}
    proxy = f"http://127.0.0.1:{seen.server_port}"
    assert doctor(**endpoint, http_proxy=proxy).severity("answers") == "ok"
    assert seen.paths_seen == ["http://collector.invalid:4318/v1/traces"]
    diagnosis = doctor(**endpoint, http_proxy=dead_endpoint.replace("//", "//ada:s3cretpw@"))
    assert diagnosis.says("answers", "proxy for http://collector.invalid", "HTTP_PROXY")
    assert "s3cret" not in str(diagnosis.data)
