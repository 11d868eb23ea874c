"""Requests as enemies make them, and a propagator that believes everybody."""

import time

import pytest
from opentelemetry import context as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, set_span_in_context

from clew.core import counters
from clew.propagation import http


@pytest.fixture(autouse=True)
def clean_surroundings():
    before = otel.attach(otel.Context())
    yield
    otel.detach(before)
    http.uninstrument_clients()
    http._written.clear()


@pytest.fixture(scope="module")
def credulous():
    """Everybody is believed, and everybody is told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLEW_TRUST_INBOUND", "1")
        patch.setenv("CLEW_PROPAGATE_TO", "*")
        yield http.ClewPropagator()


@pytest.fixture(scope="module")
def requesting():
    """A context in which a request to some host is being made."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("client")
    attributes = {"url.full": "http://api.mine.example/", "http.request.method": "GET"}
    span = tracer.start_span("GET", kind=SpanKind.CLIENT, attributes=attributes)
    yield lambda context=None: set_span_in_context(span, context)
    span.end()


@pytest.fixture
def dropped():
    before = counters.counted()
    what = "ids from outside that cannot be used"
    return lambda: counters.counted().get(what, 0) - before.get(what, 0)


@pytest.fixture
def is_linear():
    """Whether what a step costs grows as its input does, measured at its best of three."""

    def took(step, size):
        times = []
        for _ in range(3):
            start = time.process_time()
            step(size)
            times.append(time.process_time() - start)
        return min(times)

    def check(step, size=100_000):
        # Quadratic would be 64 times; a step that costs next to nothing is measured inexactly.
        assert took(step, 8 * size) < 24 * took(step, size) + 0.05
        assert took(step, size) < 0.5

    return check
