"""`instrument_all()` puts ids on OpenTelemetry's logs, and imports nothing if they are unused."""

import pytest

SETUP = """
    from opentelemetry.sdk._logs import LoggerProvider, export
    from opentelemetry._logs import LogRecord, get_logger, set_logger_provider
    from clew import instrument_all, uninstrument_all, using_session
    from clew.core import containment
    containment.reraise = True

    Exporter = getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter
    exporter = Exporter()

    def set_up():
        provider = LoggerProvider()
        provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
        set_logger_provider(provider)

    def said():
        get_logger("application").emit(LogRecord(body="said"))
        return exporter.get_finished_logs()[-1].log_record.attributes.get("session.id")
"""


@pytest.mark.parametrize("steps", ["set_up(); instrument_all()", "instrument_all(); set_up()"])
def test_a_provider_set_before_or_after(python, steps):
    python(
        SETUP
        + f"""
    {steps}
    with using_session("chat-42"):
        assert said() == "chat-42"
        uninstrument_all()
        assert said() is None
        instrument_all()
        instrument_all()
        assert said() == "chat-42"
    assert said() is None
    uninstrument_all()
    from opentelemetry._logs import _internal
    assert type(_internal._set_logger_provider).__name__ == "function"
    """
    )


def test_a_provider_set_after_uninstrument_all_is_unchanged(python):
    python(
        SETUP
        + """
    instrument_all()
    uninstrument_all()
    set_up()
    with using_session("chat-42"):
        assert said() is None
    """
    )


def test_no_provider_is_made_or_replaced(python):
    python(
        SETUP
        + """
    from opentelemetry._logs import get_logger_provider
    instrument_all()
    before = get_logger_provider()
    set_up()
    assert get_logger_provider() is not before
    mine = get_logger_provider()
    instrument_all()
    assert get_logger_provider() is mine
    """
    )


def test_a_provider_named_by_the_environment(python):
    python(
        SETUP
        + """
    from opentelemetry._logs import get_logger_provider
    instrument_all()
    provider = get_logger_provider()
    assert isinstance(provider, LoggerProvider)
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
    with using_session("chat-42"):
        assert said() == "chat-42"
    """,
        OTEL_PYTHON_LOGGER_PROVIDER="sdk_logger_provider",
    )


@pytest.mark.parametrize("name", ["", "SessionFilter", "add_ids", "patch_ids", "stamp_logs_of"])
def test_opentelemetrys_logs_are_not_imported(python, name):
    python(
        f"""
        import sys
        import clew, clew.logging
        if {name!r}:
            getattr(clew.logging, {name!r})
        clew.instrument_all()
        clew.uninstrument_all()
        assert not [it for it in sys.modules if it.startswith("opentelemetry.sdk._logs")]
        assert not [it for it in sys.modules if it.startswith("opentelemetry._logs")]
        """
    )


def test_the_public_names(python):
    python("""
        import clew.logging, inspect
        assert dir(clew.logging) == [
            "IdentityLogProcessor", "SessionFilter", "add_ids", "patch_ids", "stamp_logs_of"
        ]
        for name in dir(clew.logging):
            assert inspect.getdoc(getattr(clew.logging, name)), name
        try:
            clew.logging.nothing
        except AttributeError as error:
            assert "nothing" in str(error)
        else:
            raise AssertionError
    """)
