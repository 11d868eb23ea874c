"""One tracer provider, one `instrument_all`, one provider server for the whole table."""

import asyncio
import os
import sys
import threading
import time
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from clew import instrument_all, uninstrument_all
from tests.landing.calls import LOOP, run
from tests.landing.recording_results import RECORDING_RESULTS
from tests.landing.results import RESULTS
from tests.landing.said import WORDS
from tests.landing.ways import WAYS
from tests.support.providers import ProviderServer


class Started(SpanProcessor):
    """Keeps every span when it starts, so that one that never ends is kept too."""

    def __init__(self):
        self.spans = []

    def on_start(self, span, parent_context=None):
        self.spans.append(span)


@pytest.fixture(autouse=True)
def _nothing_fails_to_detach(caplog):
    yield
    said = [it.getMessage() for it in caplog.records if it.name == "opentelemetry.context"]
    assert "Failed to detach context" not in said


@pytest.fixture(autouse=True)
def _left_streams_have_ended():
    """Wait for what DSPy does in threads for a stream: it goes on after the stream has been left.

    A stream that was left open on the loop of all cells is closed on it, so the loop is run, too.
    """
    yield
    deadline = time.monotonic() + 30
    while working := _threads_in_dspy():
        assert time.monotonic() < deadline, f"still in DSPy after 30 s: {working}"
        run(asyncio.sleep(0.01))


def _threads_in_dspy():
    """Return the names of the other threads that are somewhere in DSPy."""
    names = {it.ident: it.name for it in threading.enumerate()}
    del names[threading.get_ident()]
    return [
        names[thread]
        for thread, frame in sys._current_frames().items()
        if thread in names and any(_of_dspy(it) for it, _ in traceback.walk_stack(frame))
    ]


def _of_dspy(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] == "dspy"


@pytest.fixture(scope="session")
def started():
    """A tracer provider as an application makes it: default limits, set as the global one."""
    recorder = Started()
    provider = TracerProvider()
    provider.add_span_processor(recorder)
    trace.set_tracer_provider(provider)
    assert trace.get_tracer_provider() is provider, "another test has set one in this process"
    return recorder


@pytest.fixture(scope="package")
def report(started, _instrumented_http_clients):
    """Instrument all, with every host listed; the provider server checks that it gets no ids."""
    os.environ["CLEW_PROPAGATE_TO"] = "*"
    with LOOP:
        yield instrument_all()
    uninstrument_all()
    del os.environ["CLEW_PROPAGATE_TO"]


@pytest.fixture(scope="package")
def _instrumented_http_clients():
    """Instrument HTTP clients where their instrumentations are installed."""
    instrumentors = []
    for name, instrumentor in (
        ("httpx", "HTTPXClientInstrumentor"),
        ("requests", "RequestsInstrumentor"),
        ("botocore", "BotocoreInstrumentor"),
    ):
        module = f"opentelemetry.instrumentation.{name}"
        if find_spec(module) is not None and find_spec(name) is not None:
            instrumentors.append(getattr(import_module(module), instrumentor)())
            instrumentors[-1].instrument()
    yield
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


def pytest_terminal_summary(terminalreporter, config):
    if RECORDING_RESULTS.read or RECORDING_RESULTS.unread:
        terminalreporter.section("recordings")
        terminalreporter.write_line(RECORDING_RESULTS.summary())
        for line in RECORDING_RESULTS.reasons():
            terminalreporter.write_line(line)
    if WORDS.turns:
        terminalreporter.section("words")
        for line in WORDS.summary():
            terminalreporter.write_line(line)
    if not RESULTS.rows:
        return
    terminalreporter.section("landing")
    terminalreporter.write_line(RESULTS.summary())
    for line in RESULTS.unended():
        terminalreporter.write_line(f"unended: {line}")
    if file := config.getoption("--landing-table"):
        RESULTS.write(Path(file), [way.__name__ for way in WAYS])


@pytest.fixture(scope="session")
def _server():
    with ProviderServer() as server:
        yield server


@pytest.fixture
def server(_server):
    _server.clear()
    return _server
