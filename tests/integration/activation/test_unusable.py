"""Variables with which OpenTelemetry itself cannot start: the application goes on, untraced."""

import pytest

from clew.instrument.unusable import is_opentelemetrys, stand_in

WRONG = {
    "OTEL_PYTHON_METER_PROVIDER": "bogus",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "abc",
    "OTEL_PROPAGATORS": "tracecontext,b3-is-not-installed",
}
APPLICATION = """
    from clew import (
        State, Stats, carry, carry_initializer, current, instrument_all, stats, uninstrument_all,
        using_session,
    )
    import clew.celery, clew.web.asgi, clew.web.wsgi, clew.logging

    report = instrument_all()
    print(report)
    assert {it.state for it in report.values()} == {State.FAILED}
    assert len(report) == 6 and report["llama_index"].error
    with using_session("chat-42", user_id="ada"):
        assert carry(current)().session_id == "chat-42"
    carry_initializer()
    assert isinstance(stats(), Stats)
    uninstrument_all()
"""


@pytest.mark.parametrize("name", WRONG)
def test_the_application_goes_on_and_one_line_names_the_variable(python, name):
    done = python(APPLICATION, **{name: WRONG[name]})
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("clew: ")]
    assert line.startswith("clew: nothing is traced: OpenTelemetry cannot start")
    assert name in line
    assert WRONG[name].rpartition(",")[2] in line
    assert done.stdout.count(name) == 6


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("argument", ["strict=True", "only=['openai']"])
def test_an_error_says_so_where_one_was_asked_for(python, name, argument):
    code = f"""
        import clew
        for _ in range(2):
            try:
                clew.instrument_all({argument})
            except clew.ActivationError as error:
                print(error)
    """
    assert python(code, **{name: WRONG[name]}).stdout.count(name) == 2


def test_an_error_says_so_where_a_variable_asks_for_it(python):
    code = """
        import clew
        try:
            clew.instrument_all()
        except clew.ActivationError as error:
            print(error)
    """
    for variable in ({"CLEW_STRICT": "on"}, {"CLEW_ONLY": "openai"}):
        assert "b3x" in python(code, OTEL_PROPAGATORS="b3x", **variable).stdout


def test_a_block_works_before_a_tracer_provider_that_does_not_exist(python):
    python(
        """
        from clew import current, using_session
        with using_session("chat-42"):
            assert current().session_id == "chat-42"
        """,
        OTEL_PYTHON_TRACER_PROVIDER="bogus",
    )


def test_only_what_opentelemetry_raises_is_taken_for_it():
    assert not is_opentelemetrys(ValueError())
    with pytest.raises(ValueError, match="invalid literal") as own:
        int("x")
    assert not is_opentelemetrys(own.value)
    with pytest.raises(ValueError, match="invalid literal") as raised:
        stand_in("instrument_all", own.value)
    assert raised.value is own.value


@pytest.mark.parametrize("name", ["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_PROPAGATORS"])
def test_the_command_lists_its_commands(python, name):
    for argument in ("--help", "settings"):
        shown = python(
            "import sys; from clew.cli import main; main(sys.argv[1:])",
            argument,
            **{name: WRONG[name]},
        )
        assert "Traceback" not in shown.stderr


def test_a_command_that_cannot_be_used_says_why(python):
    code = """
        import sys
        from clew.cli import main
        try:
            main(["evaluate", "evals.py:it", "--since", "1d"])
        except SystemExit as exit:
            assert exit.code == 1
    """
    said = python(code, OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="abc").stderr
    assert said.startswith("Error: OpenTelemetry cannot start (ValueError: OTEL_SPAN_ATTRIBUTE_")
    assert len(said.splitlines()) == 1
