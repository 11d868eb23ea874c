"""Calls that have no effect, or fail: said in a word that helps."""

import logging

import pytest

from clew import IdentityTypeError, current, isolated, using_session, using_user
from clew.context import misuse


@pytest.fixture
def said(monkeypatch, caplog):
    monkeypatch.setattr(misuse, "_warned", set())
    monkeypatch.setattr(misuse, "tracing_is_unchecked", False)
    caplog.set_level(logging.WARNING, "clew")
    return caplog


@pytest.mark.parametrize("make", [lambda: using_session("s"), isolated, lambda: using_user("ada")])
def test_a_block_that_is_never_entered_is_said_once_with_its_line(said, make):
    for _ in range(3):
        make()
    (message,) = said.messages
    assert "never entered, so it has no effect" in message
    assert __file__ in message
    assert "ada" not in message


async def _entered():
    async with using_session("s"):
        pass


def test_a_block_that_is_used_in_any_way_is_not(said):
    with using_session("s"), isolated():
        pass
    with pytest.raises(StopIteration):
        _entered().send(None)

    @using_session("s")
    def never_called():
        """Do nothing."""

    @using_session(session_id=lambda number: f"s{number}")
    def called(number):
        return current().session_id, number

    assert called(3) == ("s3", 3)
    del never_called, called
    with pytest.raises(IdentityTypeError):
        using_session(3)
    assert said.messages == []


def using_session_without_its_parentheses():
    @using_session
    def answer(question="?"):
        return question

    return answer


@pytest.mark.parametrize(("given", "named"), [(("x",), {}), ((), {"question": "x"}), ((), {})])
def test_a_bare_decorator_says_how_it_is_written(given, named):
    with pytest.raises(IdentityTypeError, match=r'@using_session\("chat-42"\)'):
        using_session_without_its_parentheses()(*given, **named)


@pytest.mark.parametrize("given", [(), (None,)])
def test_without_a_session_it_says_what_is_missing(given):
    with pytest.raises(IdentityTypeError, match="it is None, or was left away") as raised:
        using_session(*given)
    assert "str(" not in str(raised.value)


def test_no_user_is_not_advised_to_be_the_text_none():
    with pytest.raises(
        IdentityTypeError, match="user_id must be a string, not NoneType; to set none"
    ) as raised:
        using_user(None)
    assert "str(" not in str(raised.value)


def test_one_that_is_kept_to_the_end_of_the_program_is_not(python):
    code = "import clew; from clew.core import containment as boundary; boundary.reraise = True\n"
    assert (
        python(f"{code}kept = clew.using_session('s'); clew.using_session.kept = [kept]").stderr
        == ""
    )


TWICE = """
for _ in range(2):
    with clew.using_session("s"):
        pass
"""


def test_ids_where_nothing_is_traced_are_said_once(python):
    (line,) = python(f"import clew\n{TWICE}").stderr.splitlines()
    assert "nothing is traced yet" in line
    assert "clew.instrument_all()" in line


IMPORTS = """
import clew, clew.logging
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
"""


@pytest.mark.parametrize(
    "before",
    [
        "clew.instrument_all()",
        "clew.instrument_all(tracer_provider=TracerProvider())",
        "trace.set_tracer_provider(TracerProvider())",
        "clew.logging.SessionFilter()",
    ],
)
def test_ids_that_something_uses_are_not(python, before):
    assert python(f"{IMPORTS}\n{before}\n{TWICE}").stderr == ""
