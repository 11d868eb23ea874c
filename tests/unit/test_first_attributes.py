"""The first attributes of a span, put beside the SDK's own method: the same, or not at all."""

from functools import wraps

import pytest
from opentelemetry import attributes as api
from opentelemetry.sdk import trace
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider

from clew import using_session
from clew.core.otel_private import attributes_reader, first_attributes_setter
from clew.spans import processor
from clew.spans.processor import IdentityProcessor

IDS = {"session.id": "chat-42", "user.id": "ada"}


class Seeing(SpanProcessor):
    """Keeps what the spans have when they start."""

    def on_start(self, span, parent_context=None):
        self.span = span


def new_span(given=None, *, most=128, longest=None):
    limits = SpanLimits(max_span_attributes=most, max_span_attribute_length=longest)
    provider = TracerProvider(span_limits=limits, shutdown_on_exit=False)
    provider.add_span_processor(seeing := Seeing())
    provider.get_tracer("test").start_span("span", attributes=given)
    return seeing.span


def contents(span):
    return list(span.attributes.items()), span.dropped_attributes


@pytest.mark.parametrize("attributes", [{}, IDS, dict(list(IDS.items())[:1])])
@pytest.mark.parametrize("most", [2, 128])
@pytest.mark.parametrize("longest", [None, 7, 256])
def test_it_leaves_what_the_public_method_leaves(attributes, most, longest):
    ours, public = (new_span(most=most, longest=longest) for _ in range(2))
    assert first_attributes_setter()(ours, attributes)
    public.set_attributes(attributes)
    assert contents(ours) == contents(public)
    for span in (ours, public):
        span.set_attributes({"a": 1, "session.id": "other"})
    assert contents(ours) == contents(public)


@pytest.mark.parametrize(
    ("attributes", "limits"),
    [
        (IDS, {"given": {"a": 1}}),
        (IDS, {"most": 1}),
        (IDS, {"most": 0}),
        (IDS, {"longest": 6}),
        ({**IDS, "tag.tags": ["a"]}, {}),
    ],
    ids=["has attributes", "too many", "none allowed", "too long", "no text"],
)
def test_it_changes_nothing_where_the_sdk_has_something_to_do(attributes, limits):
    span = new_span(**limits)
    before = contents(span)
    assert not first_attributes_setter()(span, attributes)
    assert contents(span) == before


def test_a_span_that_has_ended_gets_none():
    span = new_span()
    span.end()
    assert not first_attributes_setter()(span, IDS)


@pytest.mark.parametrize("method", ["set_attribute", "set_attributes"])
def test_a_class_with_a_method_of_its_own_is_asked(method):
    span = new_span()
    own = type("Own", (type(span),), {method: lambda *_: None})
    span.__class__ = own
    assert not first_attributes_setter()(span, IDS)


def test_a_method_that_is_exchanged_later_is_asked(monkeypatch):
    set_first = first_attributes_setter()
    span = new_span()
    monkeypatch.setattr(type(span), "set_attribute", lambda *_: None)
    assert not set_first(span, IDS)


@pytest.mark.parametrize("method", ["set_attribute", "set_attributes"])
def test_a_method_that_was_exchanged_before_is_asked(monkeypatch, method):
    upstreams = getattr(trace.Span, method)

    @wraps(upstreams)
    def redacted(*given):
        upstreams(*given)

    monkeypatch.setattr(trace.Span, method, redacted)
    assert not first_attributes_setter()(new_span(), IDS)


class MorePrivate(api.BoundedAttributes):
    """Attributes as a later SDK may hold them: with a part that is not known here."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._sizes = {}


@pytest.mark.parametrize("other", [MorePrivate, dict])
def test_with_another_sdk_the_ids_are_set_publicly(monkeypatch, other):
    monkeypatch.setattr(api, "BoundedAttributes", other)
    if other is MorePrivate:
        monkeypatch.setattr(trace, "BoundedAttributes", other)
    monkeypatch.setattr(processor, "_set_first_attributes", first_attributes_setter())
    assert not processor._set_first_attributes(new_span(), IDS)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(IdentityProcessor())
    with using_session("chat-42", user_id="ada"):
        span = provider.get_tracer("test").start_span("span")
    assert dict(span.attributes) == IDS


def test_an_id_is_put_beside_the_public_method(monkeypatch):
    """The two ways differ in nothing but their cost, so this looks at which one is taken."""
    called = []
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(IdentityProcessor())
    monkeypatch.setattr(api.BoundedAttributes, "__setitem__", lambda *given: called.append(given))
    with using_session("chat-42", user_id="ada"):
        span = provider.get_tracer("test").start_span("span")
    assert dict(span.attributes) == IDS
    assert not called


@pytest.mark.parametrize("given", [{}, {"a": 1}, {"a": [1, 2]}])
@pytest.mark.parametrize("is_known", [True, False])
def test_the_attributes_are_read_as_they_are(monkeypatch, given, is_known):
    span = new_span(given)
    if not is_known:
        monkeypatch.setattr(api, "BoundedAttributes", dict)
    read = attributes_reader()
    assert dict(read(span)) == dict(span.attributes)
    span.set_attribute("b", 2)
    assert read(span)["b"] == 2
