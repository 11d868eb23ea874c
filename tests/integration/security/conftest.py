"""Fixtures: a propagator that trusts every request, and a check that a step takes linear time."""

import time

import pytest
from opentelemetry import context as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, set_span_in_context

from clew.core import counters
from clew.propagation import http


@pytest.fixture(autouse=True)
def empty_context():
    before = otel.attach(otel.Context())
    yield
    otel.detach(before)
    http.uninstrument_clients()
    http._written.clear()


@pytest.fixture(scope="module")
def trusting_propagator():
    """A propagator that accepts ids from every request and sends them to every host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLEW_TRUST_INBOUND", "1")
        patch.setenv("CLEW_PROPAGATE_TO", "*")
        yield http.ClewPropagator()


@pytest.fixture(scope="module")
def request_context():
    """Make a context inside the span of a request."""
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
    """Assert that the CPU time of a step, the best of three, is linear in its input's size."""

    def took(step, size):
        times = []
        for _ in range(3):
            start = time.process_time()
            step(size)
            times.append(time.process_time() - start)
        return min(times)

    def check(step, size=100_000):
        # Quadratic would be 64 times. The constant is for steps too fast to measure exactly.
        assert took(step, 8 * size) < 24 * took(step, size) + 0.05
        assert took(step, size) < 0.5

    return check
