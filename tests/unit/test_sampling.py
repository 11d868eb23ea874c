"""Whole sessions are kept or dropped, with the same decision everywhere."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from openinference import instrumentation as upstream
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import TraceState

from clew import isolated, using_session
from clew.spans.session_sampler import session_is_kept
from tests.support.sampling import sample_sessions

NUMBER = 2000
IDS = [f"chat-{number}" for number in range(NUMBER)]
KEPT = next(name for name in IDS if session_is_kept(name, 0.5))
DROPPED = next(name for name in IDS if not session_is_kept(name, 0.5))


class AppSampler(Sampler):
    """An application's sampler, which drops health checks."""

    def should_sample(self, parent_context, trace_id, name, *args, **kwargs):
        decides = ALWAYS_OFF if name == "health" else ALWAYS_ON
        return decides.should_sample(parent_context, trace_id, name, *args, **kwargs)

    def get_description(self):
        return "AppSampler"


@pytest.fixture
def sampled(make_telemetry):
    undo = []

    def make(rate, sampler=None):
        telemetry = make_telemetry(sampler=sampler or AppSampler())
        undo.append(sample_sessions(telemetry.provider, rate))
        return telemetry

    yield make
    for stop in undo:
        stop()


@pytest.mark.parametrize(("rate", "kept"), [(0, 0), (0.0, 0), (1, NUMBER), (1.0, NUMBER)])
def test_rates_of_zero_and_one(rate, kept):
    assert sum(session_is_kept(session, rate) for session in IDS) == kept


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.25, 0.5, 0.9])
def test_the_share_is_close_to_the_rate(rate):
    share = sum(session_is_kept(session, rate) for session in IDS) / NUMBER
    deviation = (rate * (1 - rate) / NUMBER) ** 0.5
    assert abs(share - rate) < 4 * deviation


def test_a_higher_rate_keeps_what_a_lower_one_keeps():
    low = {session for session in IDS if session_is_kept(session, 0.1)}
    high = {session for session in IDS if session_is_kept(session, 0.6)}
    assert low < high


def test_any_text_can_be_a_session_id():
    assert session_is_kept("用户 \ud800 🧵", 1)


@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF, ParentBased(ALWAYS_OFF)])
@pytest.mark.parametrize("tracer", ["tracer", "instrumentor", "stranger"])
def test_all_spans_of_a_session_are_kept_or_dropped_together(sampled, sampler, tracer):
    telemetry = sampled(0.5, sampler)
    for name in IDS[:50]:
        for _ in range(2):
            with (
                using_session(name),
                getattr(telemetry, tracer).start_as_current_span("parent"),
                getattr(telemetry, tracer).start_as_current_span("child"),
            ):
                pass
    exported = [span.attributes["session.id"] for span in telemetry.spans()]
    kept = [name for name in IDS[:50] if session_is_kept(name, 0.5)]
    assert sorted(exported) == sorted(kept * 4)
    assert 0 < len(kept) < 50


def test_threads_make_the_same_decision(sampled):
    telemetry = sampled(0.5)

    def one(name):
        with using_session(name):
            telemetry.tracer.start_span(name).end()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, IDS[:100] * 2))
    kept = [name for name in IDS[:100] if session_is_kept(name, 0.5)]
    assert sorted(span.name for span in telemetry.spans()) == sorted(kept * 2)


def test_processes_make_the_same_decision():
    program = (
        "import json, sys; from clew.spans.session_sampler import session_is_kept\n"
        "ids = json.load(sys.stdin); print(json.dumps([session_is_kept(i, 0.5) for i in ids]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(IDS),
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(result.stdout) == [session_is_kept(session, 0.5) for session in IDS]
    # Fixed: an upgrade of clew must not change which sessions are kept.
    assert [int(session_is_kept(session, 0.5)) for session in IDS[:8]] == [0, 0, 1, 0, 1, 1, 1, 0]


def test_the_session_may_come_from_any_source(sampled):
    telemetry = sampled(0.5, ParentBased(AppSampler()))
    for name in (KEPT, DROPPED):
        with upstream.using_session(name):
            telemetry.tracer.start_span("upstream").end()
        telemetry.tracer.start_span("start", attributes={"session.id": name}).end()
        context = otel.set_value("session.id", name, otel.Context())
        telemetry.tracer.start_span("context", context=context).end()
        with telemetry.tracer.start_as_current_span("parent", attributes={"session.id": name}):
            telemetry.tracer.start_span("child").end()
    names = sorted(span.name for span in telemetry.spans())
    assert names == ["child", "context", "parent", "start", "upstream"]
    assert {span.attributes["session.id"] for span in telemetry.spans()} == {KEPT}


def test_outside_a_session_the_applications_sampler_decides(sampled):
    telemetry = sampled(0)
    telemetry.tracer.start_span("work").end()
    telemetry.tracer.start_span("health").end()
    with using_session(KEPT), isolated():
        telemetry.tracer.start_span("isolated").end()
    with using_session(KEPT):
        telemetry.tracer.start_span("session").end()
    assert [span.name for span in telemetry.spans()] == ["work", "isolated"]


def test_tracers_made_before_are_sampled_too(make_telemetry):
    telemetry = make_telemetry(sampler=AppSampler())
    tracer, instrumentor = telemetry.tracer, telemetry.instrumentor
    undo = sample_sessions(telemetry.provider, 0)
    with using_session(KEPT):
        tracer.start_span("before").end()
        instrumentor.start_span("before").end()
    assert telemetry.spans() == ()
    undo()
    with using_session(KEPT):
        tracer.start_span("undone").end()
    assert [span.name for span in telemetry.spans()] == ["undone"]


def test_undo_restores_the_sampler(make_telemetry):
    sampler = AppSampler()
    telemetry = make_telemetry(sampler=sampler)
    before = telemetry.provider.get_tracer("before")
    undo = sample_sessions(telemetry.provider, 0)
    after = telemetry.provider.get_tracer("after")
    with using_session(KEPT):
        telemetry.tracer.start_span("sampled").end()
    assert telemetry.spans() == ()
    undo()
    assert telemetry.provider.sampler is before.sampler is after.sampler is sampler
    undo()
    assert telemetry.provider.sampler is sampler


def test_another_provider_with_the_same_sampler_is_left_alone(make_telemetry):
    """The SDK gives every provider that names no sampler one shared object."""
    ours, theirs = make_telemetry(sampler=None), make_telemetry(sampler=None)
    shared = theirs.provider.sampler
    assert ours.provider.sampler is shared
    before = vars(shared).copy()
    their_tracer = theirs.tracer
    undo = sample_sessions(ours.provider, 0)
    with using_session(KEPT):
        ours.tracer.start_span("ours").end()
        their_tracer.start_span("theirs").end()
        theirs.provider.get_tracer("later").start_span("theirs, later").end()
        TracerProvider().get_tracer("new").start_span("new").end()
        assert TracerProvider().get_tracer("new").start_span("new").is_recording()
    assert ours.spans() == ()
    assert [span.name for span in theirs.spans()] == ["theirs", "theirs, later"]
    assert vars(shared) == before
    assert theirs.provider.sampler is their_tracer.sampler is shared
    undo()


def test_two_providers_with_one_sampler_are_each_sampled(make_telemetry):
    shared = AppSampler()
    one, two = make_telemetry(sampler=shared), make_telemetry(sampler=shared)
    stop_one, stop_two = sample_sessions(one.provider, 0), sample_sessions(two.provider, 0)
    stop_one()
    with using_session(KEPT):
        one.tracer.start_span("one").end()
        two.tracer.start_span("two").end()
    assert [span.name for span in (*one.spans(), *two.spans())] == ["one"]
    stop_two()


def test_many_cycles_leave_one_sampler(make_telemetry):
    telemetry = make_telemetry(sampler=AppSampler())
    tracer = telemetry.tracer
    for rate in (0, 1, 0, 1):
        undo = sample_sessions(telemetry.provider, rate)
        made_inside = telemetry.provider.get_tracer(f"made at {rate}")
        again = sample_sessions(telemetry.provider, rate)
        assert tracer.sampler is made_inside.sampler is telemetry.provider.sampler
        with using_session(KEPT):
            assert tracer.start_span("span").is_recording() == bool(rate)
        again()
        undo()
        assert type(tracer.sampler) is type(made_inside.sampler) is AppSampler


def test_a_sampler_that_the_application_sets_meanwhile_stays(make_telemetry):
    telemetry = make_telemetry(sampler=AppSampler())
    undo = sample_sessions(telemetry.provider, 0)
    mine = telemetry.provider.sampler = AppSampler()
    undo()
    assert telemetry.provider.sampler is mine


def test_attributes_of_the_applications_sampler_can_still_be_read(make_telemetry):
    sampler = AppSampler()
    sampler.tenants = ["a"]
    telemetry = make_telemetry(sampler=sampler)
    undo = sample_sessions(telemetry.provider, 0.5)
    assert telemetry.provider.sampler.tenants is sampler.tenants
    assert "AppSampler" in telemetry.provider.sampler.get_description()
    assert not hasattr(telemetry.provider.sampler, "no_such_thing")
    undo()


class Samplerless:
    """A provider that is not the SDK's and has no sampler."""

    def get_tracer(self, name):
        raise NotImplementedError


class ReadOnly(Samplerless):
    """A provider whose sampler cannot be set."""

    @property
    def sampler(self):
        return ALWAYS_ON


@pytest.mark.parametrize("provider", [Samplerless(), ReadOnly()])
def test_a_provider_whose_sampler_cannot_be_set_is_named(provider, caplog):
    sample_sessions(provider, 0.5)()
    (record,) = caplog.records
    assert type(provider).__name__ in record.getMessage()
    assert "CLEW_SESSION_SAMPLE_RATE" in record.getMessage()


def test_the_trace_state_is_kept(sampled):
    telemetry = sampled(1)
    state = TraceState([("vendor", "1")])
    remote = trace.SpanContext(1, 2, is_remote=True, trace_state=state)
    context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    with using_session(KEPT):
        span = telemetry.tracer.start_span("span", context=context, attributes={"a": 1})
    assert span.get_span_context().trace_state == state
    assert span.get_span_context().trace_id == 1
    assert span.attributes["a"] == 1
    span.end()


def test_the_applications_ratio_does_not_apply_to_a_kept_session(sampled):
    telemetry = sampled(0.5, TraceIdRatioBased(0.0))
    with using_session(KEPT), telemetry.tracer.start_as_current_span("parent"):
        telemetry.tracer.start_span("child").end()
    assert len(telemetry.spans()) == 2


@dataclass(frozen=True)
class Frozen(Sampler):
    """A sampler whose attributes cannot be set."""

    rate: float = 1.0

    def should_sample(self, *args, **kwargs):
        return ALWAYS_ON.should_sample(*args, **kwargs)

    def get_description(self):
        return "Frozen"


def test_a_frozen_sampler_works(make_telemetry):
    telemetry = make_telemetry(sampler=Frozen())
    undo = sample_sessions(telemetry.provider, 0.5)
    for name in (KEPT, DROPPED):
        with using_session(name):
            telemetry.tracer.start_span("span").end()
    assert [span.attributes["session.id"] for span in telemetry.spans()] == [KEPT]
    undo()
    with using_session(DROPPED):
        assert telemetry.probe() == (DROPPED, None)


def test_tracers_are_found_where_the_sdk_keeps_no_list_of_them(make_telemetry):
    """Older SDKs keep no list of the tracers that a provider has made."""
    telemetry = make_telemetry(sampler=AppSampler())
    tracer, other = telemetry.tracer, make_telemetry(sampler=AppSampler()).tracer
    vars(telemetry.provider).pop("_tracers", None)
    undo = sample_sessions(telemetry.provider, 0)
    with using_session(KEPT):
        assert not tracer.start_span("before").is_recording()
        assert other.start_span("of another provider").is_recording()
    undo()
    assert isinstance(tracer.sampler, AppSampler)
