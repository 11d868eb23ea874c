"""What becomes of annotations that Phoenix, or its client, does not take."""

from types import SimpleNamespace

import httpx
import pytest

from clew.evaluations import Evaluation
from clew.evaluations.phoenix import log_annotations

TRACE, SPAN = bytes(range(16)), bytes(range(8))
GIVEN = [
    Evaluation("solved", score=1, session_id="a", metadata={"mean": float("nan")}),
    Evaluation("solved", score=1, session_id="b"),
    Evaluation("long", label="yes", session_id="a", trace_id=TRACE),
    Evaluation("polite", score=0, session_id="a", trace_id=TRACE, span_id=SPAN),
]


class PhoenixException(Exception):
    """As the client raises it where the Phoenix is too old."""


@pytest.fixture
def client():
    """A client that takes everything, and what it was given."""
    given = []

    def log(**annotations):
        annotations.pop("sync")
        for several in annotations.values():
            given.extend(several)

    return SimpleNamespace(
        given=given,
        sessions=SimpleNamespace(log_session_annotations=log),
        traces=SimpleNamespace(log_trace_annotations=log),
        spans=SimpleNamespace(log_span_annotations=log),
    )


def failing(error, calls):
    def log(**annotations):
        calls.append(annotations)
        raise error

    return log


def test_numbers_that_json_does_not_have_are_null(client):
    assert log_annotations(client, GIVEN) == (4, [])
    assert client.given[0]["metadata"] == {"mean": None}


def test_what_an_older_phoenix_does_not_take_is_told_and_the_rest_is_given(client):
    calls = []
    error = PhoenixException("needs Phoenix server >= 12.0.0")
    client.sessions.log_session_annotations = failing(error, calls)
    taken, reasons = log_annotations(client, GIVEN)
    assert (taken, reasons) == (2, ["PhoenixException: needs Phoenix server >= 12.0.0"])
    assert [it["name"] for it in client.given] == ["long", "polite"]
    assert len(calls) == 1


def test_so_is_what_an_older_client_cannot_send(client):
    del client.traces.log_trace_annotations
    taken, (reason,) = log_annotations(client, GIVEN)
    assert taken == 3
    assert "log_trace_annotations" in reason


@pytest.mark.parametrize("error", [ValueError("wrong"), httpx.ConnectError("refused")])
def test_any_other_error_is_a_reason(client, error):
    calls = []
    client.sessions.log_session_annotations = failing(error, calls)
    taken, reasons = log_annotations(client, GIVEN)
    assert (taken, reasons) == (2, [f"{type(error).__name__}: {error}"])
    assert len(calls) == 3
