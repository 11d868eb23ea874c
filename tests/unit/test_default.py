"""CLEW_SESSION_ID and CLEW_USER_ID: as if the whole program ran in one block."""

import pytest
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, set_span_in_context

from clew import current, isolated, using_session, using_user
from clew.context import identity
from clew.context.carry import packed
from clew.core.settings import SETTINGS, misspelt


@pytest.fixture
def batch(monkeypatch):
    monkeypatch.setenv("CLEW_SESSION_ID", "nightly")
    monkeypatch.setenv("CLEW_USER_ID", "robot")
    forget = identity.read_default()
    yield
    forget()
    assert not current()


@pytest.mark.usefixtures("batch")
def test_a_span_in_no_block_carries_the_default(telemetry):
    telemetry.tracer.start_span("span").end()
    assert telemetry.ids() == ("nightly", "robot")
    telemetry.tracer.start_span("span", context=Context()).end()
    assert telemetry.ids() == ("nightly", "robot")
    telemetry.instrumentor.start_span("span").end()
    assert telemetry.ids() == ("nightly", "robot")
    assert (current().session_id, current().user_id) == ("nightly", "robot")


@pytest.mark.usefixtures("batch")
def test_every_block_counts_more(telemetry):
    with using_session("chat-42"):
        telemetry.tracer.start_span("span").end()
        assert telemetry.ids() == ("chat-42", "robot")
        with using_user("ada"):
            telemetry.tracer.start_span("span").end()
            assert telemetry.ids() == ("chat-42", "ada")
    with isolated():
        telemetry.tracer.start_span("span").end()
        assert telemetry.ids() == (None, None)
        assert not current()
        with using_session("chat-42"):
            assert current().user_id is None


@pytest.mark.usefixtures("batch")
@pytest.mark.parametrize("tracer", ["tracer", "instrumentor"])
def test_what_a_framework_says_and_what_the_application_says_count_more(
    telemetry, as_instrumentor, tracer
):
    span = getattr(telemetry, tracer).start_span("span")
    as_instrumentor(span.set_attribute, "session.id", "thread-1")
    span.end()
    assert telemetry.ids() == ("thread-1", "robot")
    span = getattr(telemetry, tracer).start_span("span")
    span.set_attribute("session.id", "mine")
    child = telemetry.tracer.start_span("child", context=set_span_in_context(span))
    child.end()
    assert telemetry.ids() == ("mine", "robot")
    span.end()
    assert telemetry.ids() == ("mine", "robot")


@pytest.mark.usefixtures("batch")
def test_a_request_learns_its_session_late(telemetry):
    with telemetry.tracer.start_as_current_span("request", kind=SpanKind.SERVER):
        with using_session("chat-42", user_id="ada"):
            telemetry.tracer.start_span("inside").end()
        assert telemetry.ids() == ("chat-42", "ada")
    assert telemetry.ids() == ("chat-42", "ada")


@pytest.mark.usefixtures("batch")
def test_what_is_evicted_is_written_again(telemetry):
    span = telemetry.tracer.start_span("span")
    span.set_attributes({f"key-{number}": number for number in range(200)})
    span.end()
    assert telemetry.ids() == ("nightly", "robot")


@pytest.mark.usefixtures("batch")
def test_it_is_not_sent_as_if_it_had_been_said(telemetry):
    assert packed(Context()).said == {}
    with using_session("chat-42"):
        assert packed(Context()).said == {}


def test_it_is_pseudonymised(telemetry, monkeypatch, batch):
    monkeypatch.setenv("CLEW_USER_ID_KEY", "a key")
    identity.read_key()
    forget = identity.read_default()
    telemetry.tracer.start_span("span").end()
    assert len(telemetry.ids()[1]) == 64
    monkeypatch.delenv("CLEW_USER_ID_KEY")
    identity.read_key()
    forget()


@pytest.mark.parametrize("text", ["x" * 300, "a\nb"])
def test_one_that_cannot_be_used_is_said_once_and_the_other_counts(monkeypatch, caplog, text):
    monkeypatch.setenv("CLEW_SESSION_ID", text)
    monkeypatch.setenv("CLEW_USER_ID", "robot")
    for _ in range(2):
        forget = identity.read_default()
        found = current()
        forget()
        assert (found.session_id, found.user_id) == (None, "robot")
    (said,) = caplog.messages
    assert said.startswith("clew: CLEW_SESSION_ID ")
    assert text not in said


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("CLEW_SESION_ID", "CLEW_SESSION_ID"),
        ("CLEW_EXCLUDES", "CLEW_EXCLUDE"),
        ("CLEW_THREAD", "CLEW_THREADS"),
        ("CLEW_USERID", "CLEW_USER_ID"),
        ("CLEW_ZZZZZZZZZZZZZZZZZ", None),
    ],
)
def test_a_misspelt_name_is_told_the_nearest(name, nearest):
    assert list(misspelt(["PATH", name, "OTEL_X", "CLEWLESS"])) == [(name, nearest)]


def test_no_setting_is_misspelt():
    assert list(misspelt([setting.name for setting in SETTINGS])) == []
    assert list(misspelt(["CLEW_RECORDINGS"])) == []
