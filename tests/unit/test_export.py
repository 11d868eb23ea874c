"""Which exporters a tracer provider of clew's has, by the OTEL_* variables."""

import io
import json
import os
from importlib.util import find_spec

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import ConsoleSpanExporter

from clew.export.default_provider import exporters
from clew.export.standard_error import StandardError
from clew.export.store_exporter import StoreExporter
from clew.store.database import StoreError
from clew.store.location import store_path

OTLP = "OTEL_EXPORTER_OTLP_"
without_grpc = pytest.mark.skipif(
    find_spec("opentelemetry.exporter.otlp.proto.grpc") is not None, reason="gRPC is installed"
)


@pytest.fixture
def configure(monkeypatch, caplog):
    """Set the variables; return the exporters, and clew's log lines."""

    def make(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        created = exporters()
        records = [record for record in caplog.records if record.name == "clew"]
        for record in records:
            assert record.exc_info is None
            assert "\n" not in record.getMessage()
            assert "Traceback" not in record.getMessage()
        for exporter in created:
            exporter.shutdown()
        return [type(each) for each in created], [record.getMessage() for record in records]

    return make


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "  "},
        {"OTEL_TRACES_EXPORTER": ","},
        {f"{OTLP}ENDPOINT": ""},
        {f"{OTLP}HEADERS": "a=b"},
    ],
)
def test_none_configured_means_the_store_with_one_line(configure, variables):
    types, (line,) = configure(CLEW_STORE=" ", **variables)
    assert types == [StoreExporter]
    assert line.startswith("clew: no exporter is configured, so spans are kept in ")
    assert line.endswith("sessions.db; look at the conversations with: clew view, or clew sessions")


def test_without_a_store_the_default_is_standard_error(configure):
    types, (line,) = configure(CLEW_STORE="off")
    assert types == [StandardError]
    assert "CLEW_STORE=off, so spans are written to standard error" in line
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://" in line
    assert "OTEL_TRACES_EXPORTER=none" in line


def test_by_default_spans_are_kept_in_the_store(configure, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLEW_STORE")
    types, (line,) = configure()
    assert types == [StoreExporter]
    path = tmp_path / ".clew" / "sessions.db"
    assert line == (
        f"clew: no exporter is configured, so spans are kept in {path}; "
        "look at the conversations with: clew view, or clew sessions"
    )
    assert list(tmp_path.iterdir()) == []  # It is made with the first span.


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no folder that is in use")
def test_where_the_current_folder_was_deleted_spans_are_lost_with_a_reason(
    configure, monkeypatch, tmp_path
):
    (folder := tmp_path / "gone").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("CLEW_STORE")
    folder.rmdir()
    assert configure()[0] == [StoreExporter]
    with pytest.raises(StoreError, match=r"cannot be made: .*name another file with CLEW_STORE"):
        StoreExporter(store_path()).export([])


def test_the_default_writes_one_line_of_json_to_standard_error(telemetry, monkeypatch):
    err = io.StringIO()
    monkeypatch.setattr("sys.stderr", err)
    (default,) = exporters()
    telemetry.tracer.start_span("a").end()
    telemetry.tracer.start_span("b").end()
    default.export(telemetry.spans())
    lines = err.getvalue().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["a", "b"]


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_EXPORTER": "otlp"},
        {"OTEL_TRACES_EXPORTER": " otlp ,"},
        {"OTEL_TRACES_EXPORTER": "otlp_proto_http"},
        {"OTEL_TRACES_EXPORTER": "otlp", f"{OTLP}PROTOCOL": "http/protobuf"},
        {f"{OTLP}ENDPOINT": "http://localhost:4318"},
        {f"{OTLP}ENDPOINT": "https://[::1]:4318/x"},
        {f"{OTLP}TRACES_ENDPOINT": "http://localhost:4318/v1/traces"},
        {f"{OTLP}PROTOCOL": "http/protobuf"},
        {f"{OTLP}PROTOCOL": "grpc", f"{OTLP}TRACES_PROTOCOL": "http/protobuf"},
    ],
)
def test_otlp(configure, variables):
    assert configure(**variables) == ([OTLPSpanExporter], [])


def test_console_and_none(configure):
    assert configure(OTEL_TRACES_EXPORTER="console") == ([ConsoleSpanExporter], [])
    assert configure(OTEL_TRACES_EXPORTER="console,otlp") == (
        [ConsoleSpanExporter, OTLPSpanExporter],
        [],
    )


@pytest.mark.parametrize("text", ["none", "NONE", " none ", "none,none"])
def test_none(configure, text):
    assert configure(OTEL_TRACES_EXPORTER=text, OTEL_EXPORTER_OTLP_ENDPOINT="http://a:1") == (
        [],
        [],
    )


def test_an_unknown_exporter_is_named_with_the_installed_ones(configure):
    types, (named, default) = configure(OTEL_TRACES_EXPORTER="fax")
    assert types == [StandardError]
    assert "OTEL_TRACES_EXPORTER=fax" in named
    assert all(known in named for known in ("console", "none", "otlp", "otlp_proto_http"))
    assert "none of the configured exporters can be used" in default


@without_grpc
@pytest.mark.parametrize(
    "variables",
    [
        {f"{OTLP}PROTOCOL": "grpc"},
        {f"{OTLP}TRACES_PROTOCOL": "grpc", f"{OTLP}ENDPOINT": "localhost:4317"},
        {"OTEL_TRACES_EXPORTER": "otlp", f"{OTLP}PROTOCOL": "grpc"},
        {"OTEL_TRACES_EXPORTER": "otlp_proto_grpc"},
    ],
)
def test_for_grpc_without_its_package_the_pip_command_is_logged(configure, variables):
    types, (named, default) = configure(**variables)
    assert types == [StandardError]
    assert "python -m pip install opentelemetry-exporter-otlp-proto-grpc" in named
    assert "none of the configured exporters can be used" in default


def test_for_zipkin_without_its_package_the_pip_command_is_logged(configure):
    if find_spec("opentelemetry.exporter.zipkin") is not None:
        pytest.skip("zipkin is installed")
    _, (named, _) = configure(OTEL_TRACES_EXPORTER="zipkin")
    assert "python -m pip install opentelemetry-exporter-zipkin" in named


@pytest.mark.parametrize("variable", [f"{OTLP}ENDPOINT", f"{OTLP}TRACES_ENDPOINT"])
@pytest.mark.parametrize(
    "endpoint",
    [
        "localhost:4318",
        "localhost",
        "ftp://localhost",
        "http://",
        "http:///v1/traces",
        "http://[::1",
        "http://localhost:port",
        "http://localhost:99999",
    ],
)
def test_a_bad_endpoint_is_named(configure, variable, endpoint):
    types, (named, _) = configure(**{variable: endpoint})
    assert types == [StandardError]
    assert f"{variable}={endpoint!r}" in named
    assert "http://host:4318" in named


@pytest.mark.parametrize("variable", [f"{OTLP}PROTOCOL", f"{OTLP}TRACES_PROTOCOL"])
def test_an_unknown_protocol_is_named_with_the_known_ones(configure, variable):
    types, (named, _) = configure(**{variable: "http/xml"})
    assert types == [StandardError]
    assert "'http/xml'" in named
    assert "http/protobuf or grpc" in named


@pytest.mark.parametrize("text", ["fax,otlp", "otlp,fax"])
def test_of_two_exporters_the_valid_one_is_used(configure, text):
    types, (named,) = configure(OTEL_TRACES_EXPORTER=text)
    assert types == [OTLPSpanExporter]
    assert "OTEL_TRACES_EXPORTER=fax" in named


def test_an_exporter_that_fails_to_start_is_named(configure):
    types, (named, _) = configure(
        OTEL_TRACES_EXPORTER="otlp", OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER="nobody"
    )
    assert types == [StandardError]
    assert "it raised RuntimeError" in named
    assert "nobody" in named
