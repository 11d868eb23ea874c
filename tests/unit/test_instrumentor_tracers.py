"""The tracer of an instrumentor uses the real one, and is an object of its own."""

import asyncio
import copy
import random

import openinference.instrumentation as openinference
import pytest
from openinference.instrumentation import OITracer, TraceConfig
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer as SDKTracer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import NoOpTracerProvider, Tracer

from clew import using_session
from clew.spans.tracer_provider import ClewTracerProvider

NAME = "openinference.instrumentation.fake"
each_way = pytest.mark.parametrize("wrap", [lambda it: it, lambda it: OITracer(it, TraceConfig())])


class Counting(IdGenerator):
    """An application's own generator."""

    number = 0

    def generate_span_id(self):
        self.number += 1
        return self.number

    generate_trace_id = generate_span_id


@pytest.fixture
def provider(monkeypatch):
    """A provider that returns the same tracer each time, which older SDKs' do not."""
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    real = provider.get_tracer(NAME)
    monkeypatch.setattr(provider, "get_tracer", lambda *_: real)
    return provider


def of_clew(provider):
    return ClewTracerProvider(provider).get_tracer(NAME)


def test_it_is_no_copy_of_the_real_tracer(provider):
    real, tracer = provider.get_tracer(NAME), of_clew(provider)
    assert isinstance(tracer, Tracer)
    assert not isinstance(tracer, SDKTracer)
    before = vars(real).copy()
    tracer.note = "mine"
    assert vars(real) == before


@each_way
def test_later_changes_of_the_real_tracer_apply(provider, wrap):
    tracer = wrap(of_clew(provider))
    provider.get_tracer(NAME).resource = Resource(
        {"pod": "a"}
    )  # As the SDK does in the child after a fork.
    assert tracer.start_span("span").resource.attributes == {"pod": "a"}


@each_way
def test_the_sampler_is_the_one_that_its_provider_has_now(provider, wrap):
    tracer = wrap(of_clew(provider))
    assert tracer.start_span("span").is_recording()
    provider.sampler = ALWAYS_OFF
    assert tracer.sampler is ALWAYS_OFF
    assert not tracer.start_span("span").is_recording()


@each_way
def test_a_tracer_that_starts_spans_in_its_own_way_does(provider, wrap, monkeypatch):
    class OfTenant(SDKTracer):
        def start_span(self, name, *args, **kwargs):
            span = super().start_span(name, *args, **kwargs)
            span.set_attribute("tenant", "t")
            return span

    made = provider.get_tracer(NAME)
    made.__class__ = OfTenant
    monkeypatch.setattr(provider, "get_tracer", lambda *_, **__: made)
    span = wrap(of_clew(provider)).start_span("span")
    assert span.attributes["tenant"] == "t"


class Delegating(TracerProvider):
    """A provider whose tracers are those of another one, and whose own sampler is not used."""

    def __init__(self, inner):
        super().__init__(sampler=ALWAYS_ON, shutdown_on_exit=False)
        self.inner = inner

    def get_tracer(self, *arguments, **named):
        return self.inner.get_tracer(*arguments, **named)


class Bare:
    """A provider without a sampler whose tracers are the SDK's."""

    def __init__(self, inner):
        self.get_tracer = inner.get_tracer


@each_way
@pytest.mark.parametrize("outer", [Delegating, Bare])
def test_the_sampler_is_the_tracers_own_if_its_provider_has_another(outer, wrap):
    inner = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    tracer = wrap(of_clew(outer(inner)))
    assert not tracer.start_span("span").is_recording()


def test_the_sampler_is_the_tracers_own_although_both_providers_had_the_same():
    """The SDK gives every provider that names no sampler one shared object."""
    outer = Delegating(TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False))
    assert outer.sampler is outer.inner.sampler
    tracer = of_clew(outer)
    outer.sampler = ALWAYS_OFF
    assert tracer.start_span("span").is_recording()


@each_way
def test_ids_differ_although_the_application_seeds_random(provider, wrap):
    tracer = wrap(of_clew(provider))
    contexts = []
    for _ in range(2):
        random.seed(7)
        contexts.append(tracer.start_span("span").get_span_context())
    assert contexts[0].trace_id != contexts[1].trace_id
    assert contexts[0].span_id != contexts[1].span_id


@each_way
def test_the_applications_own_ids_are_used(wrap):
    ids = Counting()
    tracer = wrap(of_clew(TracerProvider(id_generator=ids, shutdown_on_exit=False)))
    context = tracer.start_span("span").get_span_context()
    assert (context.trace_id, context.span_id) == (1, 2)
    assert tracer.id_generator is ids


@each_way
def test_it_starts_current_spans_with_their_ids(telemetry, wrap):
    tracer = wrap(of_clew(telemetry.provider))
    with using_session("chat-42", user_id="ada"), tracer.start_as_current_span("parent"):
        assert telemetry.probe() == ("chat-42", "ada")
    assert telemetry.named()["parent"] == telemetry.named()["probe"]


def test_it_decorates_functions_of_both_kinds(telemetry):
    tracer = of_clew(telemetry.provider)

    @tracer.start_as_current_span("sync")
    def work():
        return telemetry.probe()

    @tracer.start_as_current_span("async")
    async def wait():
        return work()

    with using_session("chat-42"):
        assert asyncio.run(wait()) == ("chat-42", None)
    names = [span.name for span in telemetry.spans()]
    assert names == ["probe", "sync", "async"]


def test_what_it_does_not_have_is_read_from_the_real_tracer(provider):
    real, tracer = provider.get_tracer(NAME), of_clew(provider)
    assert tracer.instrumentation_info is real.instrumentation_info
    real.note = "the application's"
    assert tracer.note == copy.copy(tracer).note == "the application's"
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = tracer.no_such_thing


def test_a_tracer_that_is_not_the_sdks_is_returned_unchanged():
    provider = NoOpTracerProvider()
    assert type(of_clew(provider)) is type(provider.get_tracer(NAME))


class OwnTracer(SDKTracer):
    """A tracer of an application's own, part of which is computed."""

    @property
    def resource(self):
        return Resource({"pod": "own"})

    @resource.setter
    def resource(self, _):
        pass


def test_a_tracer_of_another_class_keeps_what_its_class_says(provider):
    provider.get_tracer(NAME).__class__ = OwnTracer
    tracer = of_clew(provider)
    assert tracer.start_span("span").resource.attributes == {"pod": "own"}
    assert tracer.resource.attributes == {"pod": "own"}


class WithSlots(SDKTracer):
    """A tracer with an attribute that is not in its dictionary."""

    __slots__ = ("pod",)

    @property
    def resource(self):
        return Resource({"pod": self.pod})

    @resource.setter
    def resource(self, pod):
        self.pod = pod


class Registered(SDKTracer):
    """A tracer whose subclasses have to say something."""

    def __init_subclass__(cls, *, plugin):
        cls.plugin = plugin


@each_way
@pytest.mark.parametrize("tracer_class", [WithSlots, Registered])
def test_a_tracer_that_can_have_no_subclass_starts_spans(provider, wrap, tracer_class):
    real = tracer_class.__new__(tracer_class)
    real.__dict__.update(vars(provider.get_tracer(NAME)))
    real.resource = "own"
    provider.get_tracer = lambda *_: real
    tracer = wrap(of_clew(provider))
    with using_session("chat-42"):
        span = tracer.start_span("span")
    assert span.attributes["session.id"] == "chat-42"
    assert span.resource == real.resource
    provider.sampler = ALWAYS_OFF
    assert not tracer.start_span("span").is_recording()
    tracer.starting.sampler = ALWAYS_ON
    assert tracer.start_span("span").is_recording()
    assert copy.copy(tracer.starting).sampler is ALWAYS_ON


@each_way
def test_the_tracers_of_openinferences_own_provider_start_spans(wrap):
    provider = openinference.TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    tracer = wrap(of_clew(provider))
    with using_session("chat-42"):
        assert tracer.start_span("span").attributes["session.id"] == "chat-42"
    provider.sampler = ALWAYS_OFF
    assert not tracer.start_span("span").is_recording()


class Changing(Sampler):
    """A sampler that changes the attributes that it gets, and passes them on."""

    def should_sample(self, context, trace_id, name, kind=None, attributes=None, *_):
        attributes.pop("user.id", None)
        attributes["sampled"] = name
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self):
        return "changing"


def test_what_a_sampler_changes_concerns_its_span_only(telemetry):
    telemetry.provider.sampler = Changing()
    tracer = of_clew(telemetry.provider)
    with using_session("chat-42", user_id="ada"):
        tracer.start_span("a").end()
        telemetry.provider.sampler = ALWAYS_ON
        tracer.start_span("b").end()
        telemetry.probe()
    named = telemetry.named()
    assert named["a"]["sampled"] == "a"
    assert dict(named["b"]) == dict(named["probe"]) == {"session.id": "chat-42", "user.id": "ada"}


def test_an_id_that_is_none_is_none(telemetry):
    tracer = of_clew(telemetry.provider)
    tracer.start_span("span", attributes={"session.id": None, "a": 1}).end()
    assert telemetry.last() == {"a": 1}


def test_a_sampler_given_to_what_starts_the_spans_goes_to_its_provider(provider):
    """Session sampling replaces the sampler of every tracer that it finds, of older SDKs by gc."""
    tracer = of_clew(provider)
    tracer.starting.sampler = ALWAYS_OFF
    assert provider.sampler is ALWAYS_OFF
