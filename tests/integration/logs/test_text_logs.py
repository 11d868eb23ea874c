"""Text logs: a filter for ``logging``, a processor for structlog, a patcher for loguru."""

import io
import json
import logging
import logging.config
import logging.handlers
import multiprocessing
import queue
import sys
import threading
import time

import pytest
from opentelemetry import context as otel

from clew import using_session, using_user
from clew.context.pseudonyms import pseudonymise
from clew.core import containment
from clew.logging import SessionFilter, add_ids, patch_ids
from tests.support.commands import run_command

FORMAT = "%(session_id)s %(user_id)s %(message)s"


def both():
    return using_session("chat-42", user_id="ada")


@pytest.fixture
def text(application):
    """The output of the application's handler, which has a filter."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(SessionFilter())
    application.addHandler(handler)
    return lambda: stream.getvalue().splitlines()


def test_inside_and_outside(application, text):
    with both():
        application.info("inside")
        with using_session("inner"):
            application.info("deeper")
    application.info("outside")
    with using_user("ada"):
        application.info("a user only")
    assert text() == [
        "chat-42 ada inside",
        "inner ada deeper",
        "- - outside",
        "- ada a user only",
    ]


def test_ids_on_the_record_have_precedence(application, text):
    with both():
        application.info("extra", extra={"session_id": "mine"})
        application.info("dotted", extra={"session.id": "mine", "user.id": 7})
    application.info("outside", extra={"session_id": "mine"})
    assert text() == ["mine ada extra", "mine 7 dotted", "mine - outside"]


class WithDefaults(logging.LogRecord):
    """Every record has the ids, before there are any."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.session_id = self.user_id = None


class ReadOnly(logging.LogRecord):
    """It has an id of its own, which can only be read."""

    session_id = property(lambda _: "its own")


@pytest.fixture
def record_class():
    before = logging.getLogRecordFactory()
    yield logging.setLogRecordFactory
    logging.setLogRecordFactory(before)


def test_none_on_a_record_is_no_id(application, text, record_class):
    record_class(WithDefaults)
    with both():
        application.info("inside")
    application.info("outside")
    assert text() == ["chat-42 ada inside", "- - outside"]


def test_a_record_class_may_have_a_property_of_that_name(application, text, record_class):
    record_class(ReadOnly)
    with both():
        application.info("inside")
    assert text() == ["chat-42 ada inside"]


@pytest.mark.usefixtures("user_id_key")
def test_user_ids_are_pseudonyms(application, text):
    with both():
        application.info("inside")
        application.info("given", extra={"user.id": "bob"})
    ada, bob = pseudonymise("ada"), pseudonymise("bob")
    assert text() == [f"chat-42 {ada} inside", f"chat-42 {bob} given"]


def test_from_threads(application, text):
    with both():
        here = otel.get_current()

    def work():
        otel.attach(here)
        application.info("in a thread")

    for thread in [
        threading.Thread(target=work),
        threading.Thread(target=application.info, args=["-"]),
    ]:
        thread.start()
        thread.join()
    assert text() == ["chat-42 ada in a thread", "- - -"]


def test_configured_by_a_dictionary(application):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"ids": {"()": "clew.logging.SessionFilter", "outside": ""}},
            "formatters": {"plain": {"format": "[%(session_id)s] %(message)s"}},
            "handlers": {
                "kept": {
                    "class": "logging.handlers.MemoryHandler",
                    "capacity": 10,
                    "filters": ["ids"],
                    "formatter": "plain",
                }
            },
            "loggers": {application.name: {"handlers": ["kept"], "propagate": False}},
        }
    )
    with both():
        application.warning("inside")
    application.warning("outside")
    (handler,) = application.handlers
    assert [handler.format(it) for it in handler.buffer] == ["[chat-42] inside", "[] outside"]


def test_a_name_passes_only_its_loggers(application):
    only = SessionFilter("another")
    record = application.makeRecord(application.name, logging.INFO, "", 0, "said", (), None)
    assert not only.filter(record)
    assert SessionFilter().filter(record)


def through_a_queue(application, *, before=(), after=()):
    """Log in this thread; return what a handler writes in another, which has its own session."""
    between = queue.SimpleQueue()
    first = logging.handlers.QueueHandler(between)
    for each in before:
        first.addFilter(each)
    application.addHandler(first)
    stream = io.StringIO()
    last = logging.StreamHandler(stream)
    last.setFormatter(logging.Formatter(FORMAT))
    for each in after:
        last.addFilter(each)
    listener = logging.handlers.QueueListener(between, last)
    with both():
        application.info("inside")
    application.info("outside")

    def drain():
        with using_session("of the listener"):
            listener.handle(between.get())
            listener.handle(between.get())

    thread = threading.Thread(target=drain)
    thread.start()
    thread.join()
    return stream.getvalue().splitlines()


def test_a_filter_before_a_queue_sets_the_current_ids(application):
    lines = through_a_queue(application, before=[SessionFilter()], after=[SessionFilter()])
    assert lines == ["chat-42 ada inside", "- - outside"]


def test_a_filter_after_a_queue_sets_no_id(application):
    lines = through_a_queue(application, after=[SessionFilter()])
    assert lines == ["- - inside", "- - outside"]


def test_a_filtered_record_can_be_pickled(application):
    receiving, sending = multiprocessing.Pipe(duplex=False)
    handler = logging.handlers.QueueHandler(sending)
    handler.enqueue = sending.send
    handler.addFilter(SessionFilter())
    application.addHandler(handler)
    with both():
        application.info("inside")
    record = receiving.recv()
    assert (record.session_id, record.user_id) == ("chat-42", "ada")
    receiving.close()
    sending.close()


@pytest.mark.parametrize(
    "handler_class", [logging.handlers.SocketHandler, logging.handlers.DatagramHandler]
)
def test_a_log_server_without_clew_can_read_the_records(application, handler_class):
    handler, sent = handler_class("127.0.0.1", 9), []
    handler.send = sent.append
    handler.addFilter(SessionFilter())
    application.addHandler(handler)
    with both():
        application.info("inside")
    application.info("outside")
    # -S: without the packages that are installed here.
    done = run_command(
        [sys.executable, "-I", "-S", "-c", LOG_SERVER],
        input=json.dumps([record[4:].hex() for record in sent]),
    )
    assert json.loads(done.stdout) == [["chat-42", "ada", "inside"], ["-", "-", "outside"]]


LOG_SERVER = """
import json, pickle, sys

records = [pickle.loads(bytes.fromhex(record)) for record in json.load(sys.stdin)]
print(json.dumps([[it["session_id"], it["user_id"], it["msg"]] for it in records]))
"""


def test_several_handlers_and_loggers_have_the_same_ids(application, text):
    child = application.getChild("child")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(SessionFilter())
    child.addHandler(handler)
    try:
        with both():
            child.info("inside")
    finally:
        child.removeHandler(handler)
    assert stream.getvalue().splitlines() == text() == ["chat-42 ada inside"]


def test_an_error_in_clew_is_contained(application, text, monkeypatch):
    monkeypatch.setattr(containment, "reraise", False)
    monkeypatch.setattr("clew.logging.text.find_attributes", None)
    with both():
        application.info("inside")
        assert add_ids(None, "info", {"event": "said"}) == {"event": "said"}
        record = {"extra": {}}
        patch_ids(record)
    assert text() == ["- - inside"]
    assert record == {"extra": {"session_id": "-", "user_id": "-"}}


def test_the_filter_is_fast(application):
    """The formatting of a line takes about 24 microseconds."""
    record = application.makeRecord(application.name, logging.INFO, "", 0, "said", (), None)
    session_filter, times = SessionFilter(), []
    with both():
        for _ in range(2000):
            vars(record).pop("session_id", None)
            vars(record).pop("user_id", None)
            began = time.perf_counter()
            session_filter.filter(record)
            times.append(time.perf_counter() - began)
    assert sorted(times)[len(times) // 2] < 24e-6


def test_structlog(user_id_key):
    structlog = pytest.importorskip("structlog")
    stream = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream), processors=[add_ids, structlog.processors.JSONRenderer()]
    )
    with both():
        logger.info("inside", number=1)
        logger.info("its own", session_id="mine")
        logger.info("none", session_id=None, user_id=None)
    logger.info("outside")
    ada = pseudonymise("ada")
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"event": "inside", "number": 1, "session_id": "chat-42", "user_id": ada},
        {"event": "its own", "session_id": "mine", "user_id": ada},
        {"event": "none", "session_id": "chat-42", "user_id": ada},
        {"event": "outside"},
    ]


@pytest.mark.parametrize("enqueue", [False, True])
def test_loguru(enqueue):
    loguru = pytest.importorskip("loguru")
    written = []
    logger = loguru.logger
    logger.remove()
    logger.configure(patcher=patch_ids)
    sink = logger.add(
        written.append, format="{extra[session_id]} {extra[user_id]} {message}", enqueue=enqueue
    )
    try:
        with both():
            logger.info("inside")
            logger.bind(session_id="mine").info("bound")
            logger.bind(session_id=None, user_id=None).info("none")
        logger.info("outside")
        logger.bind(session_id=None).info("none")
        logger.complete()
    finally:
        logger.remove(sink)
        logger.configure(patcher=lambda _: None)
    assert [str(line) for line in written] == [
        "chat-42 ada inside\n",
        "mine ada bound\n",
        "chat-42 ada none\n",
        "- - outside\n",
        "- - none\n",
    ]
