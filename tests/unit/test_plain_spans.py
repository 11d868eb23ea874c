"""Spans of OpenInference's tracers are the same, whether they are made at less cost or not."""

import warnings
from functools import wraps

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openinference.instrumentation import (
    OITracer,
    TraceConfig,
    capture_span_context,
    suppress_tracing,
    using_metadata,
)
from openinference.instrumentation._spans import OpenInferenceSpan
from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from clew import using_session
from clew.instrument.repairs import unmet_requirement
from clew.instrument.repairs.plain_spans import MADE_FOR, make_plain_spans
from clew.patching.undo import UndoStack

pytestmark = pytest.mark.skipif(
    unmet_requirement(MADE_FOR) is not None, reason="no plain spans with this release"
)
IMAGE = "data:image/png;base64," + "A" * 40_000
KIND = "openinference.span.kind"
keys = st.sampled_from(
    [
        *("input.value", "output.value", "llm.tools.0.tool.json_schema", "session.id", "metadata"),
        *(KIND, "llm.token_count.prompt", "gen_ai.system", "tag.tags", "user.id"),
        "llm.input_messages.0.message.contents.0.message_content.image.image.url",
        "output.images.0.image.url",
    ]
)
values = st.sampled_from(["LLM", "TOOL", "chat-42", 7, 0.5, True, None, IMAGE, lambda: "later"])
pairs = st.dictionaries(keys, values, max_size=4)


@pytest.fixture
def plainly():
    """Run a function while plain spans are made."""

    def run(function):
        undo = UndoStack("undoing plain spans")
        before = OITracer.start_span
        make_plain_spans(undo)
        try:
            assert OITracer.start_span is not before
            return function()
        finally:
            undo.undo()
            assert OITracer.start_span is before

    return run


def is_plain(span):
    return type(span) is not OpenInferenceSpan


@given(start=pairs, later=st.lists(pairs, max_size=3), context=st.booleans(), limit=st.booleans())
def test_their_attributes_are_upstreams(make_telemetry, plainly, start, later, context, limit):
    def attributes():
        telemetry = make_telemetry(limit=5 if limit else 128)
        given = {"context": otel.set_value("metadata", "own")} if context else {}
        with using_session("chat-42", user_id="ada"), using_metadata({"a": 1}):
            span = telemetry.instrumentor.start_span("work", attributes=start, **given)
        nested = telemetry.instrumentor.start_span(
            "nested", context=set_span_in_context(span), attributes=start
        )
        nested.end()
        for each in later:
            span.set_attributes(each)
            for key, value in each.items():
                span.set_attribute(key, value)
        span.end()
        return {name: sorted(it.items()) for name, it in telemetry.named().items()}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert plainly(attributes) == attributes()


@pytest.mark.parametrize(
    "config",
    [
        TraceConfig(hide_inputs=True),
        TraceConfig(hide_outputs=True),
        TraceConfig(enable_genai_semconv=True),
        type("Own", (TraceConfig,), {"mask": lambda *_, **__: "***"})(),
    ],
)
def test_a_config_that_changes_attributes_is_asked(telemetry, plainly, config):
    def attributes():
        span = OITracer(telemetry.instrumentor.__wrapped__, config=config).start_span("work")
        assert not is_plain(span)
        span.set_attributes({"input.value": "secret", "output.value": "secret", KIND: "LLM"})
        span.end()
        return telemetry.last()

    assert plainly(attributes) == attributes()


@pytest.mark.parametrize("when", ["before", "later", "one config"])
def test_a_mask_that_was_replaced_is_asked(telemetry, plainly, monkeypatch, when):
    @wraps(TraceConfig.mask)
    def mask(*_, **__):
        return "***"

    config = TraceConfig()

    def check():
        if when == "later":
            monkeypatch.setattr(TraceConfig, "mask", mask)
        span = OITracer(telemetry.instrumentor.__wrapped__, config=config).start_span(
            "work", attributes={"input.value": "secret"}
        )
        span.end()
        assert telemetry.last() == {"input.value": "***"}

    if when == "before":
        monkeypatch.setattr(TraceConfig, "mask", mask)
    elif when == "one config":
        vars(config)["mask"] = mask
    plainly(check)


class Silent(Sampler):
    """A sampler that passes on no attributes."""

    def should_sample(self, *_, **__):
        return SamplingResult(Decision.RECORD_AND_SAMPLE)

    def get_description(self):
        return "silent"


@pytest.mark.parametrize("start", [{"a": 1}, {"a": 1, KIND: "CHAIN"}, {"a": 1, KIND: "LLM"}])
def test_attributes_that_the_sampler_does_not_pass_on_are_set(telemetry, plainly, start):
    telemetry.provider.sampler = Silent()

    def attributes():
        with using_session("chat-42"):
            telemetry.instrumentor.start_span("work", attributes=start).end()
        return telemetry.last()

    assert plainly(attributes) == attributes() == {"session.id": "chat-42", **start}


@pytest.mark.parametrize("pairs", [[("a", 1)], {"a": 1}.items()])
def test_attributes_that_are_no_mapping_are_as_before(telemetry, plainly, caplog, pairs):
    def attributes():
        try:
            telemetry.instrumentor.start_span("work", attributes=pairs).end()
        except Exception as error:
            return repr(error)
        return telemetry.last()

    ours = plainly(attributes)
    logged = caplog.messages.copy()
    caplog.clear()
    assert (ours, logged) == (attributes(), caplog.messages)


@given(key=st.text() | keys, value=values)
def test_by_default_nothing_but_an_image_is_masked(key, value):
    if not key.endswith("image.url") and not callable(value):
        assert TraceConfig().mask(key, value) is value


def test_spans_are_plain_by_default_and_only_those_of_clews_tracers(telemetry, plainly):
    def check():
        assert is_plain(telemetry.instrumentor.start_span("work"))
        assert not is_plain(telemetry.stranger.start_span("work"))
        with telemetry.instrumentor.start_as_current_span("work", context=Context()) as span:
            assert is_plain(span)
            span.set_attribute(KIND, "CHAIN")
            span.set_input("question")  # Refused unless the kind is known.
        assert telemetry.last()["input.value"] == "question"

    plainly(check)


def test_a_call_counts_the_tokens_that_a_span_inside_starts_with(telemetry, plainly):
    def check():
        tokens = {"llm.token_count.prompt": 7}
        outer = telemetry.instrumentor.start_span("outer", attributes={KIND: "LLM"})
        inside = {"context": set_span_in_context(outer), "attributes": {KIND: "LLM", **tokens}}
        telemetry.instrumentor.start_span("inner", **inside).end()
        outer.end()
        assert telemetry.last().items() >= tokens.items()

    plainly(check)


def test_suppressed_and_captured_as_before(telemetry, plainly):
    def check():
        with suppress_tracing():
            assert telemetry.instrumentor.start_span("work").__wrapped__ is INVALID_SPAN
        with capture_span_context() as captured:
            span = telemetry.instrumentor.start_span("work")
            assert captured.get_span_contexts() == [span.get_span_context()]

    plainly(check)


def test_what_is_set_after_the_end_is_reported_as_before(telemetry, plainly, caplog):
    def check():
        span = telemetry.instrumentor.start_span("work")
        span.end()
        span.set_attribute("late", 1)
        assert "Setting attribute on ended span." in caplog.messages
        caplog.clear()

    plainly(check)
