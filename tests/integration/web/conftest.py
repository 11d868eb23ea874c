"""Servers on loopback, and a tracer provider whose spans are recorded."""

import logging
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

from clew.core import counters
from clew.spans.processor import IdentityProcessor
from tests.integration.web.recorder import APPLICATION, WARNINGS, Record, Recorder

DROPPED = "ids from outside that cannot be used"


@dataclass
class Telemetry:
    provider: TracerProvider
    recorder: Recorder

    @property
    def tracer(self) -> Tracer:
        return self.provider.get_tracer(APPLICATION)

    @property
    def record(self) -> Record:
        return self.recorder.record


@pytest.fixture
def telemetry():
    provider = TracerProvider(shutdown_on_exit=False)
    recorder = Recorder()
    provider.add_span_processor(IdentityProcessor())
    provider.add_span_processor(recorder)
    return Telemetry(provider, recorder)


@pytest.fixture(autouse=True)
def _no_warning_is_logged(caplog):
    yield
    logged = [record.getMessage() for record in caplog.get_records("call")]
    assert [text for text in logged if any(each in text for each in WARNINGS)] == []


@pytest.fixture
def dropped():
    """Return how many ids were dropped since the test began."""

    def count():
        return counters.counted().get(DROPPED, 0) - before

    before = counters.counted().get(DROPPED, 0)
    return count


@pytest.fixture
def listening():
    """A socket that accepts connections before the server runs, so that no test has to wait."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield server


def url_of(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def serve(listening):
    """Serve an ASGI application with uvicorn in a thread, as a context manager."""
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("websockets")

    @contextmanager
    def served(app: Any):
        config = uvicorn.Config(app, log_config=None, ws="websockets-sansio", lifespan="on")
        server = uvicorn.Server(config)
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # It logs errors of tests.
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield url_of(listening)
        finally:
            server.should_exit = True
            thread.join(timeout=30)
            assert not thread.is_alive()

    return served
