"""Warnings of calls without effect, and errors of wrong ones, say what to write instead."""

import logging

import pytest

from clew import IdentityTypeError, current, isolated, using_session, using_user
from clew.context import misuse


@pytest.fixture
def warnings(monkeypatch, caplog):
    monkeypatch.setattr(misuse, "_warned", set())
    monkeypatch.setattr(misuse, "tracing_is_unchecked", False)
    caplog.set_level(logging.WARNING, "clew")
    return caplog


@pytest.mark.parametrize("make", [lambda: using_session("s"), isolated, lambda: using_user("ada")])
def test_a_block_that_is_never_entered_is_warned_of_once_with_its_line(warnings, make):
    for _ in range(3):
        make()
    (message,) = warnings.messages
    assert "never entered, so it has no effect" in message
    assert __file__ in message
    assert "ada" not in message


async def _entered():
    async with using_session("s"):
        pass


def test_a_block_that_is_used_in_any_way_is_not_warned_of(warnings):
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
    assert warnings.messages == []


def using_session_without_its_parentheses():
    @using_session
    def answer(question="?"):
        return question

    return answer


@pytest.mark.parametrize(("given", "named"), [(("x",), {}), ((), {"question": "x"}), ((), {})])
def test_the_error_of_a_bare_decorator_shows_the_right_way(warnings, given, named):
    with pytest.raises(IdentityTypeError, match=r'@using_session\("chat-42"\)'):
        using_session_without_its_parentheses()(*given, **named)
    assert warnings.messages == []  # The error says it all.


@pytest.mark.parametrize("given", [(), (None,)])
def test_the_error_without_a_session_names_the_argument(given):
    with pytest.raises(IdentityTypeError, match="it is None, or was left out") as raised:
        using_session(*given)
    assert "str(" not in str(raised.value)


def test_the_error_for_none_does_not_suggest_str_of_none():
    with pytest.raises(
        IdentityTypeError, match="user_id must be a string, not NoneType; to set none"
    ) as raised:
        using_user(None)
    assert "str(" not in str(raised.value)


def test_a_block_kept_until_exit_is_not_warned_of(python):
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


def test_ids_where_nothing_is_traced_are_warned_of_once(python):
    (line,) = python(f"import clew\n{TWICE}").stderr.splitlines()
    assert "nothing is traced yet" in line
    assert "clew.instrument_all()" in line
    assert "unless this process only passes them on" in line


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
def test_ids_that_something_uses_are_not_warned_of(python, before):
    assert python(f"{IMPORTS}\n{before}\n{TWICE}").stderr == ""


def test_ids_are_warned_of_where_a_variable_names_a_tracer_provider_that_cannot_be_loaded(python):
    program = python(f"import clew\n{TWICE}", OTEL_PYTHON_TRACER_PROVIDER="misspelt")
    assert program.stderr.count("clew: ids are set, but nothing is traced yet") == 1
