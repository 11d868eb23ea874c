"""The tracer provider that clew makes if the application has set none; a process for each test."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

PROGRAM = """
import json, logging, sys
from opentelemetry import trace
from clew.export import default_provider
assert default_provider.provider_of_the_application() is None
provider = default_provider.make_provider()
assert trace.get_tracer_provider() is provider
assert default_provider.provider_of_the_application() is provider
span = trace.get_tracer("application").start_span("span")
for index in range(10_050):
    span.set_attribute(f"key-{index}", index)
kept = len(getattr(span, "attributes", ()))
if "end" in sys.argv:
    span.end()
provider.shutdown()
print(json.dumps({"kept": kept}))
"""
CASES = {
    "default": {"OTEL_TRACES_EXPORTER": "none"},
    "blank": {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": " ", "OTEL_TRACES_EXPORTER": "none"},
    "span": {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "7", "OTEL_TRACES_EXPORTER": "none"},
    "general": {"OTEL_ATTRIBUTE_COUNT_LIMIT": "9", "OTEL_TRACES_EXPORTER": "none"},
    "disabled": {"OTEL_SDK_DISABLED": "true", "CLEW_STORE": "off"},
    "console": {"OTEL_TRACES_EXPORTER": "console", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "1"},
    "to standard error": {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "1", "CLEW_STORE": "off"},
}


def run(name):
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "CLEW_"))
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, "end"],
        env={**environment, **CASES[name]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def results():
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(CASES, pool.map(run, CASES), strict=True))


def output_of(result):
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("name", "kept"), [("default", 10_000), ("blank", 10_000), ("span", 7), ("general", 9)]
)
def test_the_limit_is_openinferences_unless_one_is_set(results, name, kept):
    assert output_of(results[name]) == {"kept": kept}


def test_a_disabled_sdk_exports_nothing(results):
    result = results["disabled"]
    assert result.returncode == 0, result.stderr
    assert "key-" not in result.stdout + result.stderr
    assert "clew" not in result.stderr


def test_spans_go_to_the_console(results):
    output_of(results["console"])
    assert '"name": "span"' in results["console"].stdout
    assert "clew" not in results["console"].stderr


def test_without_exporter_and_store_spans_go_to_standard_error(results):
    result = results["to standard error"]
    assert output_of(result) == {"kept": 1}
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("{")]
    assert json.loads(line)["name"] == "span"
    assert result.stderr.count("clew: no exporter is configured, and CLEW_STORE=off") == 1
