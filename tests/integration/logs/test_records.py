"""OpenTelemetry's log records carry the ids of the context that they were made in."""

import logging
import logging.handlers
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from openinference.instrumentation import using_session as their_session
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs._internal import ConcurrentMultiLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider

from clew import current, isolated, using_session, using_user
from clew.context.pseudonyms import pseudonymise
from clew.core import containment
from clew.logging import IdentityLogProcessor, SessionFilter, stamp_logs_of
from clew.logging import stamp as stamping

BOTH = ("chat-42", "ada")
NONE = (None, None)


def both():
    return using_session("chat-42", user_id="ada")


def emit(logs, **options):
    logs.logger.emit(LogRecord(body="said", severity_number=SeverityNumber.INFO, **options))


def test_a_record_has_the_ids_also_if_the_exporter_was_added_first(logs):
    with both():
        emit(logs)
    emit(logs)
    assert logs.ids() == [BOTH, NONE]


def test_an_event_without_a_record_has_the_ids(logs):
    with both():
        logs.logger.emit(body="said", attributes={"own": 1})
    assert logs.attributes() == [{"own": 1, "session.id": "chat-42", "user.id": "ada"}]


def test_openinferences_blocks_set_the_ids(logs):
    with their_session("theirs"), using_user("ada"):
        emit(logs)
    assert logs.ids() == [("theirs", "ada")]


def test_a_context_that_is_passed_has_precedence(logs):
    with both():
        given = otel.get_current()
    emit(logs, context=given)
    with using_session("another"):
        emit(logs, context=given)
    assert logs.ids() == [BOTH, BOTH]


def test_a_record_has_the_ids_of_the_context_that_it_was_made_in(logs):
    outside = LogRecord(body="made outside", context=otel.Context({"other": "thing"}))
    with both():
        inside = LogRecord(body="made inside")
        logs.logger.emit(outside)
    logs.logger.emit(inside)
    assert logs.ids() == [NONE, BOTH]


def test_a_record_has_the_ids_of_the_span_in_its_context(logs):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("application")
    span = tracer.start_span("span", attributes={"session.id": "chat-42", "user.id": "ada"})
    emit(logs, context=trace.set_span_in_context(span, otel.Context()))
    with trace.use_span(span, end_on_exit=True):
        emit(logs)
        with using_session("own"):
            emit(logs)
        with isolated():
            emit(logs)
    assert logs.ids() == [BOTH, BOTH, ("own", "ada"), NONE]


def test_the_applications_ids_on_a_record_have_precedence(logs):
    with both():
        emit(logs, attributes={"session.id": "mine"})
        emit(logs, attributes={"user.id": "me"})
    assert logs.ids() == [("mine", "ada"), ("chat-42", "me")]


@pytest.mark.usefixtures("user_id_key")
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("length", [None, 8])
def test_user_ids_are_pseudonyms(make_logs, monkeypatch, times, length):
    if length:
        monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", str(length))
    logs = make_logs()
    if times > 1:
        stamp_logs_of(Wrapping(logs.provider))
    with both():
        emit(logs)
        emit(logs, attributes={"user.id": "bob"})
        emit(logs, attributes={"user.id": current().user_id})
    users = [user for _, user in logs.ids()]
    assert users == [pseudonymise(it)[:length] for it in ("ada", "bob", "ada")]
    assert not {"ada", "bob"} & set(users)


def test_the_attribute_limit_applies_and_the_ids_are_kept(make_logs, monkeypatch):
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "4")
    logs = make_logs()
    with both():
        emit(logs, attributes={f"own.{number}": number for number in range(4)})
    assert logs.attributes() == [
        {"own.2": 2, "own.3": 3, "session.id": "chat-42", "user.id": "ada"}
    ]


def test_the_length_limit_applies(make_logs, monkeypatch):
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")
    logs = make_logs()
    with both():
        emit(logs)
    assert logs.ids() == [("chat", "ada")]


def test_invalid_ids_are_dropped(logs):
    for wrong in ("", "a\nb", "x" * 300, 4.2, ["x"]):
        emit(logs, context=otel.set_value("session.id", wrong))
    assert logs.ids() == [NONE] * 5


def test_a_second_call_changes_nothing_and_can_be_undone(logs):
    way = logs.provider._multi_log_record_processor
    first = way.on_emit
    again = stamp_logs_of(logs.provider)
    assert way.on_emit is first
    with both():
        emit(logs)
        again()
        emit(logs)
        assert "on_emit" not in vars(way)
        logs.undo()
        stamp_logs_of(logs.provider)
        emit(logs)
    assert logs.ids() == [BOTH, NONE, BOTH]


def test_concurrent_processors(make_logs):
    way = ConcurrentMultiLogRecordProcessor()
    logs = make_logs(multi_log_record_processor=way)
    with both():
        emit(logs)
    way._executor.shutdown()
    assert logs.ids() == [BOTH]


class Wrapping:
    """A provider that wraps the SDK's, as some vendors make."""

    def __init__(self, provider):
        self.provider = provider

    def add_log_record_processor(self, processor):
        self.provider.add_log_record_processor(processor)


class Keeping(LogRecordProcessor):
    """Keeps records for later, as the batch processor does."""

    def __init__(self):
        self.kept = []

    def on_emit(self, log_record):
        self.kept.append(log_record)

    def shutdown(self):
        """Keep all."""

    def force_flush(self, timeout_millis=30_000):
        return True


def test_a_vendors_provider_gets_a_processor(logs):
    provider = LoggerProvider(shutdown_on_exit=False)
    keeping = Keeping()
    provider.add_log_record_processor(keeping)
    wrapping = Wrapping(provider)
    undo = stamp_logs_of(wrapping)
    assert stamp_logs_of(wrapping) == undo
    logger = provider.get_logger("application")
    with both():
        logger.emit(LogRecord(body="stamped"))
        undo()
        logger.emit(LogRecord(body="taken back"))
        stamp_logs_of(wrapping)
        logger.emit(LogRecord(body="stamped again"))
    said = [it.log_record.attributes.get("session.id") for it in keeping.kept]
    assert said == ["chat-42", None, "chat-42"]


@pytest.mark.parametrize("provider", [None, object()])
def test_a_provider_without_records_is_unchanged(provider):
    stamp_logs_of(provider)()


def test_the_processor_alone(logs):
    logs.undo()
    provider = LoggerProvider(shutdown_on_exit=False)
    keeping = Keeping()
    for processor in (IdentityLogProcessor(), keeping, IdentityLogProcessor()):
        provider.add_log_record_processor(processor)
    with both():
        provider.get_logger("application").emit(LogRecord(body="said"))
    assert keeping.kept[0].log_record.attributes["session.id"] == "chat-42"
    assert provider.force_flush()
    provider.shutdown()


def test_the_processor_alone_does_not_enable_a_logger():
    provider = LoggerProvider(shutdown_on_exit=False)
    logger = provider.get_logger("application")
    if not hasattr(logger, "enabled"):
        pytest.skip("this release's loggers are not asked whether they are enabled")
    before = logger.enabled()
    provider.add_log_record_processor(IdentityLogProcessor())
    stamp_logs_of(provider)
    assert logger.enabled() is before


def test_an_error_in_clew_is_contained(logs, monkeypatch, caplog):
    monkeypatch.setattr(containment, "reraise", False)
    monkeypatch.setattr(containment, "_logged", set())
    monkeypatch.setattr(stamping, "ids_in", None)
    with both():
        emit(logs)
        emit(logs)
    assert logs.ids() == [NONE, NONE]
    assert caplog.text.count("clew failed while setting the ids on a log record") == 1


# --- the handler for the standard library's logs ---


def test_the_handler_for_logging(logs, application, otel_handler):
    application.addHandler(otel_handler(logs.provider))
    with both():
        application.info("inside")
        application.info("with its own", extra={"session.id": "mine"})
    application.info("outside")
    assert logs.ids() == [BOTH, ("mine", "ada"), NONE]


def test_from_threads(logs, application, otel_handler):
    application.addHandler(otel_handler(logs.provider))
    with both():
        here = otel.get_current()

    def work(number):
        token = otel.attach(here) if number % 2 else None
        application.info("%d", number)
        if token is not None:
            otel.detach(token)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(40)))
    carried = {
        int(record.body): ids for record, ids in zip(logs.records(), logs.ids(), strict=True)
    }
    assert carried == {number: BOTH if number % 2 else NONE for number in range(40)}


@pytest.mark.parametrize("length", [None, 100])
def test_through_a_queue_with_the_filters_ids(
    make_logs, application, otel_handler, monkeypatch, length
):
    if length:
        monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", str(length))
    logs = make_logs()
    between = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(between)
    handler.addFilter(SessionFilter())
    application.addHandler(handler)
    listener = logging.handlers.QueueListener(between, otel_handler(logs.provider))
    with both():
        application.info("inside")
    application.info("outside")
    with using_session("of whoever drains the queue"):
        here = otel.get_current()

    def drain():
        otel.attach(here)
        listener.handle(between.get())
        listener.handle(between.get())

    draining = threading.Thread(target=drain)
    draining.start()
    draining.join()
    assert logs.ids() == [BOTH, NONE]
    assert not {"session_id", "user_id"} & {key for it in logs.attributes() for key in it}


@pytest.mark.usefixtures("user_id_key")
def test_the_filters_pseudonym_is_not_hashed_again(logs, application, otel_handler):
    application.addFilter(SessionFilter())
    application.addHandler(otel_handler(logs.provider))
    with both():
        application.info("inside")
        application.info("inside", extra={"user.id": "bob"})
    assert [user for _, user in logs.ids()] == [pseudonymise("ada"), pseudonymise("bob")]
