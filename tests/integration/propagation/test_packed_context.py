"""The parts of a context that `carry` packs for another process."""

import json
import pickle

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current

from clew import current, using_attributes, using_session, using_user
from clew.context import ids
from clew.context.carry import carry, pack_context, unpack_context
from tests.integration.propagation import callables


def resent(context):
    return unpack_context(pickle.loads(pickle.dumps(pack_context(context))))


texts = st.text(min_size=1, max_size=20).filter(str.isprintable).filter(lambda it: it == it.strip())


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "session_id": texts,
            "user_id": texts,
            "metadata": st.dictionaries(texts, texts | st.integers(), min_size=1),
            "tags": st.lists(texts, min_size=1),
            "prompt_template": texts,
            "prompt_template_version": texts,
            "prompt_template_variables": st.dictionaries(texts, texts, min_size=1),
        },
    )
)
def test_all_seven_attributes_arrive(attributes):
    with using_attributes(**attributes):
        context, wanted = get_current(), current()
    token = attach(resent(resent(context)))
    found = current()
    detach(token)
    assert found == wanted
    json.dumps(pack_context(context))


def test_the_span_is_a_remote_parent(telemetry):
    with telemetry.tracer.start_as_current_span("caller") as caller:
        context = get_current()
    parent = trace.get_current_span(resent(context)).get_span_context()
    assert parent.is_remote
    assert not caller.get_span_context().is_remote
    assert (parent.trace_id, parent.span_id, parent.trace_flags) == (
        caller.get_span_context().trace_id,
        caller.get_span_context().span_id,
        caller.get_span_context().trace_flags,
    )


def test_ids_of_the_parent_span_only_stay_inherited(telemetry):
    with telemetry.tracer.start_as_current_span("caller", attributes={"session.id": "own"}):
        context = resent(get_current())
    assert context.get("session.id") is None
    token = attach(context)
    assert current().session_id == "own"
    with using_session("chat-9"):
        assert current().session_id == "chat-9"
    detach(token)


def test_a_pseudonym_is_not_hashed_again(monkeypatch):
    monkeypatch.setenv("CLEW_USER_ID_KEY", "a key")
    ids.read_user_id_key()
    try:
        with using_user("ada"):
            wanted = current().user_id
            job = pickle.loads(pickle.dumps(carry(callables.function)))
        assert wanted != "ada"
        assert job() == (None, wanted)
        assert pickle.loads(pickle.dumps(job))() == (None, wanted)
        monkeypatch.delenv("CLEW_USER_ID_KEY")
        ids.read_user_id_key()
        assert job() == (None, wanted)
    finally:
        monkeypatch.delenv("CLEW_USER_ID_KEY", raising=False)
        ids.read_user_id_key()


def test_unusable_values_in_the_context_break_no_pickling():
    junk = {"metadata": lambda: None, "tag.tags": [lambda: None, "a"], "session.id": object()}
    packed = pack_context(Context(junk))
    assert pickle.loads(pickle.dumps(packed)) == ({"tag.tags": ["a"]}, {}, None)
