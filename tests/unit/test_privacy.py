"""With a key, a user id leaves the process only as a pseudonym, however it was set."""

import hmac
import json
import os
import subprocess
import sys

import pytest
from openinference import instrumentation as upstream
from opentelemetry import context as otel

from clew import current, using_attributes, using_session, using_user
from clew.context import ids
from clew.core.backend_names import ALIASES

RAW = "ada.lovelace@example.org"
pytestmark = pytest.mark.usefixtures("user_id_key")


def pseudonym(raw=RAW, key=b"a key of the tests"):
    return hmac.new(key, raw.encode(), "sha256").hexdigest()


def everything(telemetry):
    return " ".join(span.to_json() for span in telemetry.spans())


def by_context(value):
    class Block:
        def __enter__(self):
            self.token = otel.attach(otel.set_value("user.id", value))

        def __exit__(self, *error):
            otel.detach(self.token)

    return Block()


BLOCKS = [
    lambda: using_user(RAW),
    lambda: using_user(f"  {RAW}\n"),
    lambda: using_session("chat-42", user_id=RAW),
    lambda: using_attributes(user_id=RAW),
    lambda: upstream.using_user(RAW),
    lambda: upstream.using_attributes(user_id=RAW),
    lambda: by_context(RAW),
]
each_tracer = pytest.mark.parametrize("tracer", ["tracer", "instrumentor", "stranger"])


@each_tracer
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_user_id_from_a_block_is_pseudonymised(telemetry, on_the_wire, tracer, number):
    with BLOCKS[number]():
        with getattr(telemetry, tracer).start_as_current_span("parent"):
            getattr(telemetry, tracer).start_span("child").end()
        assert current().user_id == pseudonym()
    assert [said["user.id"] for said in telemetry.named().values()] == [pseudonym()] * 2
    assert RAW not in everything(telemetry)
    assert RAW.encode() not in on_the_wire(*telemetry.spans())


@each_tracer
@pytest.mark.parametrize("way", ["start", "set_attribute", "set_attributes"])
@pytest.mark.parametrize("number", [0, 130])
@pytest.mark.parametrize("inside", [True, False])
def test_a_user_id_set_by_the_application_is_pseudonymised(telemetry, tracer, way, number, inside):
    with using_user("somebody else") if inside else using_session("chat-42"):
        given = {"user.id": RAW} if way == "start" else None
        span = getattr(telemetry, tracer).start_span("span", attributes=given)
        if way == "set_attribute":
            span.set_attribute("user.id", RAW)
        elif way == "set_attributes":
            span.set_attributes({"user.id": RAW, "other": 1})
        span.set_attributes({f"key-{index}": index for index in range(number)})
        span.end()
    if (tracer, way, inside) != ("instrumentor", "start", True):
        assert telemetry.ids()[1] == pseudonym()
    assert RAW not in everything(telemetry)


def test_a_user_id_set_by_an_instrumentor_is_pseudonymised(telemetry, as_instrumentor):
    span = telemetry.instrumentor.start_span("span")
    as_instrumentor(span.set_attribute, "user.id", RAW)
    span.end()
    as_instrumentor(telemetry.instrumentor.start_span, "b", attributes={"user.id": RAW}).end()
    assert [said["user.id"] for said in telemetry.named().values()] == [pseudonym()] * 2
    assert RAW not in everything(telemetry)


@pytest.mark.parametrize("raw", [4711474711, RAW.encode(), [RAW], (RAW,)])
@pytest.mark.parametrize("way", ["start", "set_attribute", "set_attributes"])
def test_a_user_id_of_another_type_is_pseudonymised(telemetry, on_the_wire, raw, way):
    span = telemetry.tracer.start_span("a", attributes={"user.id": raw} if way == "start" else None)
    if way != "start":
        getattr(span, way)(*(("user.id", raw) if way == "set_attribute" else ({"user.id": raw},)))
    with using_session("chat-42"):
        span.end()
    landed = telemetry.last().get("user.id")
    # The SDK turns a list into a tuple, and older ones bytes into text, before anybody sees it.
    assert landed in (None, "", *map(pseudonym, (str(raw), str((RAW,)), RAW)))
    exported = everything(telemetry)
    assert RAW not in exported
    assert "4711474711" not in exported
    assert RAW.encode() not in on_the_wire(*telemetry.spans())


@pytest.mark.parametrize("name", ALIASES)
def test_a_user_id_under_an_alias_is_pseudonymised(make_telemetry, name):
    telemetry = make_telemetry(aliases=(ALIASES[name],))
    with using_session("chat-42", user_id=RAW):
        span = telemetry.tracer.start_span("in a block")
        span.set_attribute("openinference.span.kind", "LLM")
        span.end()
    telemetry.probe(attributes={"user.id": RAW})
    if user := ALIASES[name].user:
        assert [said[user] for said in telemetry.named().values()] == [pseudonym()] * 2
    assert RAW not in everything(telemetry)


def test_children_inherit_the_pseudonym_unchanged(telemetry):
    with (
        telemetry.tracer.start_as_current_span("a", attributes={"user.id": RAW}),
        telemetry.tracer.start_as_current_span("b"),
        telemetry.instrumentor.start_as_current_span("c"),
    ):
        telemetry.probe()
    assert {said["user.id"] for said in telemetry.named().values()} == {pseudonym()}


def test_the_context_itself_holds_no_raw_id():
    computed = using_session(session_id=lambda: "chat-42", user_id=lambda: RAW)
    held = lambda: otel.get_value("user.id")  # noqa: E731
    assert computed(held)() == pseudonym()
    for block in BLOCKS[:4]:
        with block():
            assert held() == pseudonym()


def test_a_pseudonym_is_not_hashed_again(telemetry):
    with using_user(RAW), using_user(current().user_id):
        assert telemetry.probe()[1] == pseudonym()
        with upstream.using_user(current().user_id):
            assert telemetry.probe()[1] == pseudonym()
            span = telemetry.tracer.start_span("span")
            span.set_attribute("user.id", current().user_id)
            span.end()
    assert telemetry.ids()[1] == pseudonym()


def test_a_block_created_before_the_key_is_read_is_pseudonymised(telemetry, monkeypatch):
    monkeypatch.delenv("CLEW_USER_ID_KEY")
    ids.read_user_id_key()
    block = using_user(RAW)
    monkeypatch.setenv("CLEW_USER_ID_KEY", "a key of the tests")
    ids.read_user_id_key()
    with block:
        telemetry.probe()
    assert telemetry.ids()[1] == pseudonym()


def test_the_session_is_not_hashed(telemetry):
    with using_session("chat-42", user_id=RAW):
        assert telemetry.probe() == ("chat-42", pseudonym())


def test_another_key_gives_another_pseudonym(telemetry, monkeypatch):
    monkeypatch.setenv("CLEW_USER_ID_KEY", "another")
    ids.read_user_id_key()
    with using_user(RAW):
        assert telemetry.probe()[1] == pseudonym(key=b"another")


def test_without_a_key_the_user_id_is_unchanged(telemetry, monkeypatch):
    monkeypatch.delenv("CLEW_USER_ID_KEY")
    ids.read_user_id_key()
    with using_user(RAW):
        assert telemetry.probe()[1] == RAW


@pytest.mark.parametrize("raw", [RAW, "用户-7", "🧵"])
def test_the_pseudonym_is_the_same_in_every_process(raw):
    program = (
        "import json, sys; from clew import current, using_user\n"
        "with using_user(json.loads(sys.argv[1])): print(current().user_id)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    arguments = [sys.executable, "-c", program, json.dumps(raw)]
    result = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == pseudonym(raw)


def test_a_pseudonym_cut_by_a_length_limit_is_not_hashed_again(telemetry, monkeypatch):
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "32")
    short = type(telemetry)()
    with short.tracer.start_as_current_span("a", attributes={"user.id": RAW}):
        short.tracer.start_span("b").end()
    assert {said["user.id"] for said in short.named().values()} == {pseudonym()[:32]}
