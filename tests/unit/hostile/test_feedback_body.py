"""Whatever a page of an application posts as feedback, it is kept, or refused with a reason."""

import json

from hypothesis import given
from opentelemetry import trace

from clew.web.feedback import MAX_BODY, answer
from tests.unit.hostile.inputs import changes, texts, values

GOOD = [
    {"score": 1, "label": "good", "comment": "Thanks.", "name": "thumbs"},
    {"label": "bad", "session_id": "chat-42", "trace_id": "01" * 16, "span_id": "02" * 8},
]


def bodies(value):
    return json.dumps(value).encode()


@given(
    changes(GOOD).map(bodies)
    | values.map(bodies)
    | texts.map(lambda it: it.encode("utf-8", "replace"))
)
def test_every_body_is_answered(telemetry, on_the_wire, monkeypatch, body):
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: telemetry.provider)
    telemetry.exporter.clear()
    found = answer(body, {"session.id": "chat-42"})
    assert found.status in {204, 400, 413}
    assert found.status == 204 or json.loads(found.body)["error"]
    assert on_the_wire(*telemetry.spans()) is not None


def test_what_is_usable_becomes_a_span(telemetry, monkeypatch):
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: telemetry.provider)
    assert answer(bodies(GOOD[0]), {"session.id": "chat-42"}).status == 204
    assert telemetry.last()["session.id"] == "chat-42"


def test_too_large(telemetry):
    assert answer(b" " * (MAX_BODY + 1), {}).status == 413
