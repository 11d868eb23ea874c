"""Celery on a real redis, prefork: a task's spans are in the session of whoever called it."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from opentelemetry.context import attach, detach, get_current, set_value
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import get_current_span, set_span_in_context

from clew import current, stats, using_session
from clew.context import ids
from clew.context.pseudonyms import Pseudonym
from clew.core import containment, counters
from tests.integration.propagation.conftest import PROGRAMS, environment_for
from tests.integration.propagation.span_counts import Count

if find_spec("celery") is None:
    pytest.skip("celery is not installed", allow_module_level=True)
from clew import celery as clew_celery
from clew.celery import connect

needs_redis = pytest.mark.skipif(
    not shutil.which("redis-server") or not find_spec("redis"),
    reason="redis-server is not installed: apt-get install redis-server, and pip install redis",
)


@pytest.fixture
def broker(tmp_path):
    """Run a redis server for this test alone."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path)]
    server = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL)
    try:
        until(lambda: accepts_connections(port), server)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(20)


def accepts_connections(port):
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def until(holds, process):
    ends = time.monotonic() + 30
    while not holds():
        assert process.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.05)


@contextmanager
def worker(endpoint, broker, tmp_path, **environment):
    """Run a worker of two processes, and end it by SIGTERM, as a deployment does."""
    log = tmp_path / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "shop", "worker", "-P", "prefork", "-c", "2"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "-l", "INFO", "--without-mingle", "--without-gossip"],
            env=environment_for(endpoint) | {"BROKER": broker} | environment,
            cwd=PROGRAMS,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            until(lambda: " ready." in log.read_text(), process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    assert "clew failed" not in log.read_text()


@needs_redis
@pytest.mark.parametrize("provider", ["of clew", "of the application"])
def test_prefork(program, collector, broker, tmp_path, provider):
    with worker(collector.endpoint, broker, tmp_path, PROVIDER=provider):
        jobs = int(program("shop.py", "call", BROKER=broker, PROVIDER=provider))
    assert collector.count() == Count(spans=2 * jobs)


@needs_redis
@pytest.mark.skipif(
    not find_spec("opentelemetry.instrumentation.celery"),
    reason="opentelemetry-instrumentation-celery is not installed",
)
@pytest.mark.parametrize(
    "order", ["connected first", "connected later", "connected by each worker"]
)
def test_with_opentelemetrys_own_instrumentation(program, collector, broker, tmp_path, order):
    also = f"opentelemetry, {order}"
    with worker(collector.endpoint, broker, tmp_path, ALSO=also):
        jobs = int(program("shop.py", "call", BROKER=broker, ALSO=also))
    count = collector.count()
    # Its spans are between those of a task and those of the caller.
    assert count == Count(spans=2 * jobs, wrong_parent=count.wrong_parent)
    runs = [span for span in collector.seen if span.name.startswith("run/")]
    callers = {span.trace_id for span in collector.named("caller")}
    in_sessions = [span for span in runs if span.trace_id in callers]
    assert len(in_sessions) > len(runs) / 2
    assert all("session.id" in span.attributes for span in in_sessions)


@needs_redis
def test_without_connect_nothing_is_sent(program, collector, broker, tmp_path):
    with worker(collector.endpoint, broker, tmp_path, CONNECTED="no"):
        assert program("shop.py", "header", BROKER=broker, CONNECTED="no").strip() == "None"
        assert "chat-1" in program("shop.py", "header", BROKER=broker)


@needs_redis
@pytest.mark.parametrize("also", ["", "opentelemetry, connected first"])
def test_what_follows_from_a_lost_task_is_in_its_session(
    program, collector, broker, tmp_path, also
):
    """The task did not end in a child, so the worker's main process calls what is to follow."""
    if also and not find_spec("opentelemetry.instrumentation.celery"):
        pytest.skip("opentelemetry-instrumentation-celery is not installed")
    with worker(collector.endpoint, broker, tmp_path, ALSO=also):
        sessions = json.loads(program("shop.py", "lose", BROKER=broker, ALSO=also))
    assert len(sessions) == 5
    assert sessions == dict.fromkeys(sessions, "chat-1")


def test_eager(program, collector):
    jobs = int(program("shop.py", "eager", BROKER="memory://", BACKEND="cache+memory://"))
    assert collector.count() == Count(spans=2 * jobs)


@pytest.fixture
def connected():
    disconnect = connect()
    yield
    disconnect()


def published():
    from celery.signals import before_task_publish

    headers = {"clew": "of an earlier message"}
    before_task_publish.send(sender="one", headers=headers, body=())
    return headers


def test_the_header(connected):
    assert published() == {}
    with using_session("chat-1", user_id="ada"):
        packed = clew_celery._read(published()["clew"])
    assert packed == ({"session.id": "chat-1", "user.id": "ada"}, {}, None)
    assert type(packed.attributes["user.id"]) is str


def test_a_pseudonym_stays_one(connected, monkeypatch):
    monkeypatch.setenv("CLEW_USER_ID_KEY", "a key")
    ids.read_user_id_key()
    try:
        with using_session("chat-1", user_id="ada"):
            attributes = clew_celery._read(published()["clew"]).attributes
            assert attributes["user.id"] == current().user_id != "ada"
            assert isinstance(attributes["user.id"], Pseudonym)
    finally:
        monkeypatch.delenv("CLEW_USER_ID_KEY")
        ids.read_user_id_key()


@pytest.mark.parametrize(
    "header", ["", "{}", "[]", "[1, 2, 3, 4]", '[{}, {}, ["x"], false]', 7, {"session.id": "a"}]
)
def test_a_header_that_cannot_be_used_is_counted(header):
    before = counters.counted().get("task headers that cannot be used", 0)
    assert clew_celery._read(header) == ({}, {}, None)
    assert counters.counted()["task headers that cannot be used"] == before + 1


def test_between_two_tasks_a_worker_is_in_no_session(connected):
    from celery.signals import task_postrun, task_prerun

    with using_session("chat-1"):
        header = published()["clew"]
    for sent in ({"clew": header}, {}):
        request = SimpleNamespace(is_eager=False, called_directly=False, **sent)
        task = SimpleNamespace(request=request)
        task_prerun.send(sender=None, task=task)
        assert current().session_id == ("chat-1" if sent else None)
        attach(set_value("session.id", "left by the task"))
        task_postrun.send(sender=None, task=task)
        assert not current()


@pytest.mark.parametrize("sampled", [True, False])
def test_the_span_of_a_task_is_not_left_to_the_next_one(connected, sampled):
    """The instrumentation of OpenTelemetry attaches it before clew, and detaches it before clew."""
    from celery.signals import task_postrun, task_prerun

    with using_session("chat-1"):
        header = published()["clew"]
    task = SimpleNamespace(
        request=SimpleNamespace(is_eager=False, called_directly=False, clew=header)
    )
    tracer = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF).get_tracer("test")
    span = tracer.start_span("run/one")
    token = attach(set_span_in_context(span))
    task_prerun.send(sender=None, task=task)
    assert current().session_id == "chat-1"
    assert get_current_span().get_span_context() == span.get_span_context()
    span.end()
    detach(token)
    task_postrun.send(sender=None, task=task)
    assert not get_current_span().get_span_context().is_valid
    assert not current()


@pytest.fixture
def fails():
    """Call what a worker's main process does where a task was lost; return the session there."""
    from celery import Celery
    from celery.backends.base import Backend

    class Noting(Backend):
        sessions = ()

        def store_result(self, *_args, **_kwargs):
            self.sessions = (*self.sessions, current().session_id)

    def call(request, method="mark_as_failure"):
        backend = Noting(Celery("one", set_as_current=False))
        getattr(backend, method)("1", KeyError(), request=request)
        return backend.sessions[0]

    return call


def lost(header, **more):
    from celery.app.task import Context

    return Context({"clew": header, **more})


@pytest.mark.parametrize("method", ["mark_as_failure", "mark_as_revoked"])
def test_a_lost_task_fails_in_its_session(fails, method):
    disconnect = connect()
    try:
        connect()
        with using_session("chat-1"):
            header = published()["clew"]
        with using_session("of the worker"):
            assert fails(lost(header), method) == "chat-1"
            assert current().session_id == "of the worker"
            assert fails(lost(header, is_eager=True), method) == "of the worker"
            assert fails(lost(None), method) == "of the worker"
            assert fails(None, method) == "of the worker"
    finally:
        disconnect()
    assert fails(lost(header), method) is None


@pytest.mark.parametrize("other", [False, True], ids=["alone", "with another instrumentation"])
def test_a_task_that_fails_itself_does_so_where_it_is(connected, fails, other):
    from celery.signals import task_postrun, task_prerun

    with using_session("chat-1"):
        request = lost(published()["clew"], called_directly=False)
    task = SimpleNamespace(request=request)
    span = TracerProvider().get_tracer("test").start_span("run/one")
    token = attach(set_span_in_context(span) if other else get_current())
    task_prerun.send(sender=None, task=task)
    with using_session("in the task"):
        assert fails(request) == "in the task"
    detach(token)
    task_postrun.send(sender=None, task=task)


def test_a_lost_task_fails_whatever_goes_wrong_in_clew(connected, fails, monkeypatch):
    monkeypatch.setattr(containment, "reraise", False)
    monkeypatch.setattr(containment, "_logged", set())
    monkeypatch.setattr(clew_celery, "unpack_context", None)
    before = sum(stats().errors.values())
    with using_session("of the worker"):
        assert fails(lost("[{}, {}, null, false]")) == "of the worker"
    assert sum(stats().errors.values()) == before + 1


def test_after_disconnect_nothing_is_sent():
    connect()()
    with using_session("chat-1"):
        assert published() == {"clew": "of an earlier message"}
