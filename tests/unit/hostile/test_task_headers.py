"""Whatever a message has as the header of a task, the task runs, with usable ids or none."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from opentelemetry import context as otel
from opentelemetry.context import Context

from clew.celery import clew_after_task, clew_before_task
from clew.context.ids import MAX_LENGTH
from clew.core import counters
from tests.unit.hostile.inputs import changes, texts, values

SENT = [
    {"session.id": "chat-42", "user.id": "ada", "tag.tags": ["a"], "metadata": "{}"},
    {"session.id": "chat-43"},
    [2**100, 2**60, 1, [["k", "v"]]],
    True,
]


def ids_in_a_task(telemetry, header):
    """Run a task whose message has this header, and return the ids of a span in it."""
    request = SimpleNamespace(is_eager=False, called_directly=False, clew=header)
    task = SimpleNamespace(request=request)
    token = otel.attach(Context({"session.id": "of-the-worker"}))
    try:
        clew_before_task(task=task)
        ids = telemetry.probe()
        clew_after_task(task=task)
        assert otel.get_current() == {"session.id": "of-the-worker"}
    finally:
        otel.detach(token)
    return ids


@given(header=changes([SENT]).map(json.dumps) | values | texts)
def test_no_header_breaks_a_task(telemetry, header):
    telemetry.exporter.clear()
    session, user = ids_in_a_task(telemetry, header)
    assert session != "of-the-worker"
    for usable in filter(None, (session, user)):
        assert usable.isprintable()
        assert len(usable) <= MAX_LENGTH


@pytest.mark.parametrize(
    "header",
    [
        json.dumps([{}, {}, [float("inf"), 1, 1, []], False]),
        json.dumps([{}, {}, [1, 1, float("nan"), []], False]),
        "[" * 100_000,
        "[{}, {}, null]",
        "not JSON",
        b"\xff",
    ],
    ids=range(6),
)
def test_what_cannot_be_used_is_counted(telemetry, header):
    """Some left the task in the session of whatever the worker had done before."""
    before = counters.counted().get("task headers that cannot be used", 0)
    assert ids_in_a_task(telemetry, header) == (None, None)
    assert counters.counted()["task headers that cannot be used"] == before + 1


@pytest.mark.parametrize("user", ["x" * 5000, "a\nb", ""])
def test_a_pseudonym_is_checked_as_ids_are(telemetry, user):
    header = json.dumps([{"session.id": "chat-42", "user.id": user}, {}, None, True])
    assert ids_in_a_task(telemetry, header) == ("chat-42", None)
