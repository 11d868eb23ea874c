"""The two plugins, on a small suite as OpenInference writes them."""

import re

import pytest

from tests.release.upstream.run_suites import run_both
from tests.support.providers import ProviderServer

pytest.importorskip("openai")

SUITE = """
import socket
import threading
from contextvars import Context

import pytest
from openai import OpenAI
from openinference.instrumentation import using_session
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()


@pytest.fixture(autouse=True)
def provider():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    yield provider
    OpenAIInstrumentor().uninstrument()
    exporter.clear()


def call():
    client = OpenAI(base_url="{url}", api_key="none", max_retries=0)
    client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}]
    )
    (span,) = exporter.get_finished_spans()
    return {key for key in span.attributes if key in {"session.id", "user.id"}}


def test_a_call_has_no_ids():
    assert call() == set()


def test_a_call_has_the_suites_own_id():
    with using_session("theirs"):
        assert call() == {"session.id"}


def test_a_span_of_no_session(provider):
    Context().run(provider.get_tracer("suite").start_span, "lost").end()


def test_clew_is_between(provider):
    processors = provider._active_span_processor._span_processors
    assert [type(it).__name__ for it in processors] == ["SimpleSpanProcessor"]


def test_after_the_suites_own_uninstrument():
    OpenAIInstrumentor().uninstrument()
    client = OpenAI(base_url="{url}", api_key="none", max_retries=0)
    client.models.list()
    assert not exporter.get_finished_spans()


@pytest.mark.parametrize("host", ["example.com", "192.0.2.1"])
def test_another_machine(host):
    socket.create_connection((host, 80), timeout=1)
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\ntestpaths = ['tests']\n")
    (folder / "tests").mkdir()
    with ProviderServer() as server:
        written = SUITE.replace("{url}", f"{server.url}/v1")
        (folder / "tests" / "test_it.py").write_text(written)
        plain, between = run_both(folder, folder)
    without_file = [
        {name.rpartition("::")[2]: it for name, it in run.items()} for run in (plain, between)
    ]
    return dict(zip(["plain", "between"], without_file, strict=True))


@pytest.mark.parametrize("run", ["plain", "between"])
@pytest.mark.parametrize(
    "test",
    [
        "test_a_call_has_no_ids",
        "test_a_call_has_the_suites_own_id",
        "test_after_the_suites_own_uninstrument",
    ],
)
def test_only_the_plugins_ids_are_removed(outcomes, run, test):
    assert outcomes[run][test] == ["passed", ""]


def test_clew_activates_the_instrumentor(outcomes):
    assert outcomes["plain"]["test_clew_is_between"][0] == "passed"
    outcome, said = outcomes["between"]["test_clew_is_between"]
    assert outcome == "failed"
    assert "IdentityProcessor" in said


def test_a_span_without_ids_fails_its_test(outcomes):
    assert outcomes["plain"]["test_a_span_of_no_session"][0] == "passed"
    outcome, said = outcomes["between"]["test_a_span_of_no_session"]
    assert outcome == "failed"
    assert "spans without ids: lost has no session.id and no user.id" in said


@pytest.mark.parametrize("run", ["plain", "between"])
@pytest.mark.parametrize("host", ["example.com", "192.0.2.1"])
def test_no_other_machine_is_reached(outcomes, run, host):
    outcome, said = outcomes[run][f"test_another_machine[{host}]"]
    assert outcome == "failed"
    assert re.search(f"PermissionError.*{re.escape(host)}", said)
