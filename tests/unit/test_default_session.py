"""CLEW_SESSION_ID and CLEW_USER_ID: as if the whole program ran in one block."""

import pickle

import pytest
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import SpanKind, set_span_in_context

from clew import current, isolated, using_session, using_user
from clew.context import ids
from clew.context.carry import pack_context, unpack_context
from clew.core.settings import SETTINGS, misspelt
from clew.patching.undo import UndoStack


@pytest.fixture
def batch(monkeypatch):
    monkeypatch.setenv("CLEW_SESSION_ID", "nightly")
    monkeypatch.setenv("CLEW_USER_ID", "robot")
    undo = UndoStack("undoing what a test did")
    ids.read_default_ids(undo)
    yield
    undo.undo()
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
def test_every_block_takes_precedence(telemetry):
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
def test_ids_of_a_framework_and_of_the_application_take_precedence(
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
def test_the_span_of_a_request_gets_the_session_of_a_later_block(telemetry):
    with telemetry.tracer.start_as_current_span("request", kind=SpanKind.SERVER):
        with using_session("chat-42", user_id="ada"):
            telemetry.tracer.start_span("inside").end()
        assert telemetry.ids() == ("chat-42", "ada")
    assert telemetry.ids() == ("chat-42", "ada")


@pytest.mark.usefixtures("batch")
def test_an_evicted_default_is_written_again(telemetry):
    span = telemetry.tracer.start_span("span")
    span.set_attributes({f"key-{number}": number for number in range(200)})
    span.end()
    assert telemetry.ids() == ("nightly", "robot")


@pytest.mark.usefixtures("batch")
def test_the_default_is_not_sent_as_an_id_of_the_context(telemetry):
    assert pack_context(Context()).attributes == {}
    with using_session("chat-42"):
        assert pack_context(Context()).attributes == {}


@pytest.mark.parametrize("tracer", ["tracer", "instrumentor"])
def test_the_default_is_carried_into_another_process(
    telemetry, as_instrumentor, monkeypatch, tracer
):
    monkeypatch.setenv("CLEW_SESSION_ID", "nightly")
    monkeypatch.setenv("CLEW_USER_ID", "robot")
    undo = UndoStack("undoing what a test did")
    ids.read_default_ids(undo)
    packed = pickle.loads(pickle.dumps(pack_context(Context())))
    undo.undo()
    token = attach(unpack_context(packed))
    try:
        assert (current().session_id, current().user_id) == ("nightly", "robot")
        with getattr(telemetry, tracer).start_as_current_span("root") as root:
            telemetry.tracer.start_span("child").end()
            assert telemetry.ids() == ("nightly", "robot")
            assert root.parent is None
            as_instrumentor(root.set_attribute, "session.id", "thread-1")
        assert telemetry.ids() == ("thread-1", "robot")
        with using_session("chat-42"):
            assert (current().session_id, current().user_id) == ("chat-42", "robot")
    finally:
        detach(token)


def test_the_default_user_id_is_pseudonymised(telemetry, monkeypatch, batch):
    monkeypatch.setenv("CLEW_USER_ID_KEY", "a key")
    ids.read_user_id_key()
    undo = UndoStack("undoing what a test did")
    ids.read_default_ids(undo)
    telemetry.tracer.start_span("span").end()
    assert len(telemetry.ids()[1]) == 64
    monkeypatch.delenv("CLEW_USER_ID_KEY")
    ids.read_user_id_key()
    undo.undo()


@pytest.mark.parametrize("text", ["x" * 300, "a\nb"])
def test_an_unusable_default_is_logged_once_and_the_other_is_used(monkeypatch, caplog, text):
    monkeypatch.setenv("CLEW_SESSION_ID", text)
    monkeypatch.setenv("CLEW_USER_ID", "robot")
    for _ in range(2):
        undo = UndoStack("undoing what a test did")
        ids.read_default_ids(undo)
        found = current()
        undo.undo()
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
def test_the_warning_of_a_misspelt_setting_names_the_nearest_one(name, nearest):
    assert list(misspelt(["PATH", name, "OTEL_X", "CLEWLESS"])) == [(name, nearest)]


def test_no_setting_is_misspelt():
    assert list(misspelt([setting.name for setting in SETTINGS])) == []
    assert list(misspelt(["CLEW_RECORDINGS"])) == []
