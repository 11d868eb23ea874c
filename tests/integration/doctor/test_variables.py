"""Checks of variables with a typo or an invalid value, of limits, and of sampling."""

import pytest

from tests.integration.activation.test_environment import EVERY_WRONG_VARIABLE


def test_all_is_well_with_nothing_set(doctor):
    diagnosis = doctor()
    checks = {finding["check"] for finding in diagnosis.data["findings"]}
    assert not checks & {
        "unknown-setting",
        "bad-setting",
        "bad-limit",
        "sdk",
        "attribute-limit",
        "length-limit",
        "sampling",
        "doctor",
    }
    assert diagnosis.status == 0
    assert diagnosis.data["healthy"]


def test_a_typo(doctor):
    diagnosis = doctor(
        CLEW_ALIAS="langfuse", CLEW_DUPLICATES="keep", CLEW_SOMETHING_ELSE_ALTOGETHER="1"
    )
    assert diagnosis.says("unknown-setting", "rename it to CLEW_ALIASES", about="CLEW_ALIAS")
    assert diagnosis.says(
        "unknown-setting", "clew settings", about="CLEW_SOMETHING_ELSE_ALTOGETHER"
    )
    assert diagnosis.found("unknown-setting", "CLEW_DUPLICATES") == []
    assert diagnosis.status == 0


def test_a_bad_value(doctor):
    diagnosis = doctor(CLEW_SESSION_SAMPLE_RATE="half", CLEW_COST="1", CLEW_USER_ID_KEY="s3cr3t")
    assert diagnosis.status == 1
    about = "CLEW_SESSION_SAMPLE_RATE"
    assert diagnosis.severity("bad-setting", about) == "error"
    assert diagnosis.says("bad-setting", f"{about}=half", "from 0", "unset CLEW_", about=about)
    assert "s3cr3t" not in str(diagnosis.data)


@pytest.mark.parametrize(
    ("name", "value", "message"), EVERY_WRONG_VARIABLE, ids=[it[0] for it in EVERY_WRONG_VARIABLE]
)
def test_every_invalid_variable_is_an_error(doctor, name, value, message):
    diagnosis = doctor(**{name: value})
    assert diagnosis.status == 1
    found = diagnosis.found("bad-setting", name) + diagnosis.found("bad-limit", name)
    assert [finding["severity"] for finding in found] == ["error"]
    assert message in found[0]["sentence"]
    assert diagnosis.err == ""


def test_cost_without_the_price_list(doctor, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['genai_prices'] = None")
    diagnosis = doctor(CLEW_COST="1")
    assert (diagnosis.status, diagnosis.severity("bad-setting", "CLEW_COST")) == (1, "error")
    assert diagnosis.says("bad-setting", "pip install genai-prices", about="CLEW_COST")


@pytest.mark.parametrize(
    ("limit", "severity"),
    [("64", "warning"), ("0", "error"), ("1", "error"), ("128", None), ("10000", None)],
)
@pytest.mark.parametrize(
    "variable", ["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"]
)
def test_a_limit_on_attributes(doctor, variable, limit, severity):
    diagnosis = doctor(**{variable: limit})
    assert diagnosis.severity("attribute-limit") == severity
    assert diagnosis.status == (severity == "error")


@pytest.mark.parametrize("text", ["many", "-1"])
def test_a_limit_that_is_not_a_number(doctor, text):
    diagnosis = doctor(OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=text)
    assert (diagnosis.status, diagnosis.severity("bad-limit")) == (1, "error")
    assert diagnosis.severity("sdk") == "error"


def test_a_variable_that_keeps_the_sdk_from_starting(doctor):
    diagnosis = doctor(OTEL_SPAN_EVENT_COUNT_LIMIT="many")
    assert (diagnosis.status, diagnosis.severity("sdk")) == (1, "error")
    assert diagnosis.says("sdk", "OTEL_SPAN_EVENT_COUNT_LIMIT")


def test_a_propagator_that_is_not_installed(app, doctor):
    """Then most of OpenTelemetry cannot be imported, and so neither can most of clew."""
    wrong = {"OTEL_PROPAGATORS": "tracecontext,smoke"}
    diagnosis = doctor(**wrong)
    assert (diagnosis.status, diagnosis.severity("sdk")) == (1, "error")
    assert diagnosis.says("sdk", "Propagator smoke not found", "OTEL_PROPAGATORS=")
    assert diagnosis.found("framework")
    assert diagnosis.found("doctor") == []
    assert diagnosis.err == ""
    diagnosis = app("import os; print(os.environ['OTEL_PROPAGATORS'])", **wrong)
    assert diagnosis.out == "tracecontext,smoke\n"
    assert diagnosis.says("app-watched", "Propagator smoke not found", "see the settings above")


def test_a_tracer_provider_that_no_package_offers(app, doctor):
    wrong = {"OTEL_PYTHON_TRACER_PROVIDER": "smoke"}
    diagnosis = doctor(**wrong)
    assert (diagnosis.status, diagnosis.severity("sdk")) == (1, "error")
    assert diagnosis.says("sdk", "there are", "unset OTEL_PYTHON_TRACER_PROVIDER")
    assert diagnosis.err == ""
    diagnosis = app("import clew; clew.instrument_all()", **wrong)
    assert diagnosis.found("app-end") == diagnosis.found("app-watched") == []
    assert diagnosis.severity("app-armed") == "ok"
    assert "OTEL_PYTHON_TRACER_PROVIDER=smoke cannot be used" in diagnosis.err
    assert doctor(OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider").found("sdk") == []


def test_a_meter_provider_that_nobody_offers(doctor):
    diagnosis = doctor(OTEL_PYTHON_METER_PROVIDER="smoke")
    assert diagnosis.says("sdk", "there are", "unset OTEL_PYTHON_METER_PROVIDER")
    assert doctor(OTEL_PYTHON_METER_PROVIDER="sdk_meter_provider").found("sdk") == []


@pytest.mark.parametrize(("length", "severity"), [("16", "warning"), ("64", None)])
def test_a_limit_on_the_length_of_values(doctor, length, severity):
    diagnosis = doctor(OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=length)
    assert diagnosis.severity("length-limit") == severity


@pytest.mark.parametrize(("limit", "severity"), [(128, "note"), (10_000, None)])
def test_the_limit_of_the_apps_tracer_provider(app, limit, severity):
    diagnosis = app(f"""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider
        limits = SpanLimits(max_span_attributes={limit})
        trace.set_tracer_provider(TracerProvider(span_limits=limits))
    """)
    assert diagnosis.severity("attribute-limit") == severity
    if severity:
        assert diagnosis.says("attribute-limit", "max_span_attributes=10_000")


@pytest.mark.parametrize(
    ("environment", "severity"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "error"),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, "error"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, "error"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.001"}, "note"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, None),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, None),
        ({"CLEW_SESSION_SAMPLE_RATE": "0"}, "error"),
        ({"CLEW_SESSION_SAMPLE_RATE": "0.5"}, None),
    ],
)
def test_sampling(doctor, environment, severity):
    diagnosis = doctor(**environment)
    assert diagnosis.severity("sampling") == severity
    assert diagnosis.status == (severity == "error")


@pytest.mark.parametrize(
    ("sampler", "severity"),
    [("ALWAYS_OFF", "error"), ("ParentBased(ALWAYS_OFF)", "error"), ("ALWAYS_ON", None)],
)
def test_the_sampler_of_the_apps_tracer_provider(app, sampler, severity):
    diagnosis = app(f"""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import *
        from opentelemetry.sdk.trace.sampling import ParentBased
        trace.set_tracer_provider(TracerProvider(sampler={sampler}))
    """)
    assert diagnosis.severity("sampling") == severity
