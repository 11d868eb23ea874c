"""CLEW_SESSION_ID and CLEW_USER_ID set a batch job's ids, and misspelt variables are logged."""

import pytest

JOB = """
import multiprocessing, sys
from clew import current, isolated, using_session
from opentelemetry import trace

def work(name):
    with trace.get_tracer("application").start_as_current_span(name):
        return current().session_id

if __name__ == "__main__":
    work("outside")
    with using_session("chat-42"):
        work("inside")
    with isolated():
        assert work("isolated") is None
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.map(work, [method]) == ["nightly"]
            pool.close()
            pool.join()
"""
LINE = """
from clew import instrument_all
instrument_all()
"""


@pytest.mark.parametrize("way", ["zero code", "the one line", "both"])
def test_a_batch_job_and_its_children(instrumented, collector, way):
    zero = way != "the one line"
    instrumented(
        LINE if way != "zero code" else "",
        JOB,
        zero=zero,
        CLEW_SESSION_ID="nightly",
        CLEW_USER_ID="robot",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
    )
    found = {
        span.name: (span.attributes.get("session.id"), span.attributes.get("user.id"))
        for span in collector.seen
    }
    assert found == {
        "outside": ("nightly", "robot"),
        "inside": ("chat-42", "robot"),
        "isolated": (None, None),
        "fork": ("nightly", "robot"),
        "spawn": ("nightly", "robot"),
    }
    assert len(collector.seen) == len(found)


@pytest.mark.parametrize("zero", [True, False])
def test_a_misspelt_name_is_said_once(instrumented, zero):
    done = instrumented(
        LINE,
        LINE,
        "from clew import uninstrument_all; uninstrument_all()",
        LINE,
        zero=zero,
        CLEW_SESION_ID="s3cr3t",
        CLEW_RECORDINGS="/somewhere",
        OTEL_TRACES_EXPORTER="none",
    )
    (line,) = done.complaints
    assert line == "clew: CLEW_SESION_ID is no setting of clew's; did you mean CLEW_SESSION_ID?"
