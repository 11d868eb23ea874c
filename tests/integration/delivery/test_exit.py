"""At its end a process delivers its spans within the time limit, and then drops the rest."""

import os
import signal
import subprocess
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from tests.integration.delivery.collectors import SLOW, collecting, unused_port

EXIT_TIMEOUT = 1
"""Seconds of CLEW_EXIT_TIMEOUT in most tests; the default of three is tested once."""
SLACK = 4
"""Seconds that a busy machine may take to end a process."""
TIMEOUT = {"CLEW_EXIT_TIMEOUT": str(EXIT_TIMEOUT)}
WAYS = (
    "reaches_its_end",
    "exits",
    "raises",
    "thread_exits",
    "main_thread_ends_first",
    "shuts_down",
)
STATUS = {"exits": 3, "raises": 1}
each_way = pytest.mark.parametrize("way", WAYS)
forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def spans_of(way):
    return {"thread_exits": 10, "shuts_down": 6}.get(way, 5)


@each_way
@pytest.mark.parametrize("behaviour", ["live", "slow"])
def test_spans_are_delivered_at_exit(application, way, behaviour):
    late = way == "shuts_down"  # Its last span.
    with collecting(behaviour) as collector:
        end = application(way, collector.endpoint)
        assert collector.names["work"] == spans_of(way) - late
    assert end.counted == (spans_of(way) - late, late)
    assert end.status == STATUS.get(way, 0)
    assert not [line for line in end.log_lines if line.startswith("clew")]


def test_a_full_queue_is_delivered_to_a_slow_collector(application):
    with collecting("slow") as collector:
        end = application("reaches_its_end", collector.endpoint, SPANS="2048")
        assert collector.names["work"] == 2048
    assert end.seconds > 2 * SLOW
    assert end.counted == (2048, 0)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "shuts_down"])
@pytest.mark.parametrize("behaviour", ["hanging", "503"])
def test_exit_does_not_wait_for_a_dead_collector(application, way, behaviour):
    with collecting(behaviour) as collector:
        end = application(way, collector.endpoint, **TIMEOUT)
    assert end.seconds < EXIT_TIMEOUT + SLACK
    assert end.counted == (0, spans_of(way))
    assert end.status == STATUS.get(way, 0)
    (line,) = [line for line in end.log_lines if line.startswith("clew")]
    assert f"{spans_of(way)} spans could not be delivered before the end" in line
    assert ("503" in line or "Service Unavailable" in line) == (behaviour == "503")


@pytest.mark.parametrize("way", ["works_on_without_main_thread", "outlives_its_server"])
def test_a_process_that_goes_on_has_its_time_only_at_its_end(application, way):
    if way == "outlives_its_server":
        pytest.importorskip("uvicorn")
    with collecting("slow") as collector:
        end = application(way, collector.endpoint, **TIMEOUT)
        assert collector.names["work"] == 30
    assert 5 * SLOW > EXIT_TIMEOUT
    assert end.values("handled") == [True] * (way == "outlives_its_server")
    assert end.values("arrived") == [True] * 5
    assert end.counted == (30, 0)
    assert not end.log_lines


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("behaviour", ["live", "hanging"])
def test_ctrl_c_while_only_other_threads_work(application, behaviour):
    with collecting(behaviour) as collector:
        end = application("is_interrupted_without_main_thread", collector.endpoint, **TIMEOUT)
    assert end.counted == ((5, 0) if behaviour == "live" else (0, 5))
    assert end.seconds < EXIT_TIMEOUT + SLACK


@pytest.mark.parametrize("behaviour", ["live", "hanging"])
def test_spans_that_are_made_where_no_thread_can_be_started(application, behaviour):
    with collecting(behaviour) as collector:
        end = application("makes_its_first_span_at_its_end", collector.endpoint, **TIMEOUT)
        assert collector.names["work"] == (5 if behaviour == "live" else 0)
    assert end.counted == ((5, 0) if behaviour == "live" else (0, 5))
    assert end.seconds < EXIT_TIMEOUT + SLACK


def test_exit_does_not_wait_where_nothing_listens(application):
    with unused_port() as endpoint:
        end = application("reaches_its_end", endpoint, SPANS="3000")
    assert end.seconds < 3 + SLACK
    assert end.counted == (0, 3000)
    assert len(end.log_lines) <= 4, end.log_lines
    assert "refused" in end.log_lines[-1]


def test_the_default_limit_is_three_seconds(application):
    with collecting("hanging") as collector:
        end = application("reaches_its_end", collector.endpoint)
    assert 2.1 < end.seconds < 3 + SLACK


def test_several_exporters_share_the_time(application):
    with collecting("hanging") as collector:
        end = application(
            "reaches_its_end",
            collector.endpoint,
            OTEL_TRACES_EXPORTER="otlp,otlp_proto_http",
            **TIMEOUT,
        )
    assert end.seconds < EXIT_TIMEOUT + SLACK
    assert end.counted == (0, 10)
    assert len([line for line in end.log_lines if line.startswith("clew")]) == 1


def test_a_limit_of_zero(application):
    with collecting("hanging") as collector:
        end = application("reaches_its_end", collector.endpoint, CLEW_EXIT_TIMEOUT="0")
    assert end.seconds < SLACK
    assert end.counted == (0, 5)


def test_an_outage_is_logged_in_one_line(application):
    with collecting("400") as collector:
        end = application("works_for_long", collector.endpoint)
    assert end.counted == (0, 150)
    (line,) = end.log_lines
    assert line.startswith("clew: 5 spans could not be exported by OTLPSpanExporter: ")
    assert "400" in line


@pytest.mark.parametrize("way", ["ends_at_once", "is_terminated"])
def test_a_killed_process_does_not_wait(application, way):
    with collecting("live") as collector:
        end = application(way, collector.endpoint)
        assert not collector.names
    assert end.status == {"ends_at_once": 4, "is_terminated": -signal.SIGTERM}[way]
    assert end.seconds < SLACK
    assert end.values("exported") == []


@pytest.mark.parametrize("milliseconds", [100, 1000])
def test_a_flush_stops_at_its_timeout(application, milliseconds):
    with collecting("hanging") as collector:
        end = application("flushes", collector.endpoint, TIME=str(milliseconds), **TIMEOUT)
    assert end.values("arrived") == [False]
    (took,) = end.values("took")
    assert 0.9 * milliseconds <= 1000 * took < milliseconds + 1000 * SLACK


@pytest.mark.parametrize(("behaviour", "arrived"), [("live", True), ("slow", True), ("400", False)])
def test_a_flush_returns_whether_all_spans_arrived(application, behaviour, arrived):
    with collecting(behaviour) as collector:
        end = application("flushes", collector.endpoint, TIME="20000")
        assert collector.names["work"] == 5 * arrived
    assert end.values("arrived") == [arrived]


@forking
def test_parent_and_child_each_deliver_their_own_spans(application):
    with collecting("live") as collector:
        end = application("forks", collector.endpoint)
        assert collector.names["work"] == 5 + 2 + 1
    assert sorted(end.values("exported")) == [1, 7]
    assert end.status == 0


@forking
def test_parent_and_child_each_have_the_full_time_limit(application):
    with collecting("hanging") as collector:
        end = application("forks", collector.endpoint, **TIMEOUT)
    assert end.seconds < EXIT_TIMEOUT + SLACK
    assert sorted(sum(it.values()) for it in end.values("dropped")) == [1, 7]
    assert len([line for line in end.log_lines if line.startswith("clew")]) == 2


@pytest.mark.parametrize("start", ["spawn", pytest.param("fork", marks=forking)])
def test_a_child_of_multiprocessing_has_the_full_time_limit(application, start):
    with collecting("hanging") as collector:
        end = application("has_children", collector.endpoint, START=start, **TIMEOUT)
    assert end.values("child") == [0]
    assert end.seconds < EXIT_TIMEOUT + SLACK
    lines = [line for line in end.log_lines if line.startswith("clew")]
    assert sorted(line.split()[1] for line in lines) == ["1", "5"], lines


@pytest.mark.parametrize("start", ["spawn", pytest.param("fork", marks=forking)])
def test_a_child_of_multiprocessing_delivers_its_spans(application, start):
    with collecting("live") as collector:
        end = application("has_children", collector.endpoint, START=start)
        assert collector.names["work"] == 1 + 5
    assert not end.log_lines


@forking
@pytest.mark.parametrize(
    ("way", "spans"),
    [
        ("forks_and_ends_at_once", 5 + 1),
        ("forks_as_a_daemon", 4 + 2 + 1),
        ("starts_in_a_child", 1),
    ],
)
def test_a_forked_child_that_ends_at_once_delivers_its_spans(application, way, spans):
    if way == "starts_in_a_child" and not _tells_of_forks():
        pytest.skip("this system does not tell whether a process was forked")
    with collecting("live") as collector:
        end = application(way, collector.endpoint)
        assert collector.names["work"] == spans
    assert set(end.values("child")) == {4}
    assert not end.log_lines


def _tells_of_forks():
    return Path("/proc/self/stat").exists()


@forking
def test_a_forked_child_that_ends_at_once_stores_its_spans(application, tmp_path):
    path = tmp_path / "sessions.db"
    end = application("forks_and_ends_at_once", CLEW_STORE=str(path), CLEW_EXIT_TIMEOUT="30")
    assert end.values("child") == [4]
    with closing(connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM span").fetchone() == (5 + 1,)


@forking
@pytest.mark.parametrize("behaviour", ["hanging", "503"])
def test_a_forked_child_that_ends_at_once_does_not_wait_for_a_dead_collector(
    application, behaviour
):
    with collecting(behaviour) as collector:
        end = application("forks_and_ends_at_once", collector.endpoint, **TIMEOUT)
    assert end.values("child") == [4]
    first, last = sorted(end.values("done"))
    assert last - first < EXIT_TIMEOUT + SLACK  # The child's end; the parent's is the usual one.
    assert any("1 span could not be delivered before the end" in it for it in end.log_lines)


@forking
@pytest.mark.parametrize("behaviour", ["live", "hanging"])
def test_a_signal_handler_that_ends_a_forked_child_waits_for_nothing_of_its_own(
    application, behaviour
):
    with collecting(behaviour) as collector:
        end = application("forks_and_ends_in_a_signal_handler", collector.endpoint, **TIMEOUT)
    assert end.values("child") == [4]
    first, last = sorted(end.values("done"))
    assert last - first < EXIT_TIMEOUT + SLACK


@forking
def test_a_forked_child_that_has_made_no_spans_ends_at_once(application):
    with collecting("hanging") as collector:
        end = application("forks_and_ends_idle", collector.endpoint, CLEW_EXIT_TIMEOUT="30")
    assert end.values("child") == [4]
    first, last = sorted(end.values("done"))
    assert last - first < SLACK


@forking
def test_a_forked_child_ends_as_ever_once_clew_is_switched_off(application):
    with collecting("live") as collector:
        end = application("forks_and_ends_without_clew", collector.endpoint)
        assert not collector.names
    assert end.values("child") == [4]
    assert end.values("same") == [True]


@forking
def test_an_error_at_its_end_does_not_keep_a_forked_child(application):
    with collecting("live") as collector:
        end = application("forks_and_is_not_told", collector.endpoint)
    assert end.values("child") == [5]
    assert any("clew failed while flushing a forked process" in it for it in end.log_lines)


@forking
def test_a_forked_child_that_does_not_end_after_all_is_not_limited(application):
    with collecting("slow") as collector:
        end = application("forks_and_goes_on", collector.endpoint, **TIMEOUT)
        assert collector.names["work"] == 30
    assert end.values("arrived") == [True] * 5
    assert end.values("child") == [4]


@each_way
@pytest.mark.parametrize("where", ["full", "closed"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_standard_error_that_cannot_be_written_to(application, way, where, unbuffered):
    given = {"PYTHONUNBUFFERED": unbuffered}
    if where == "full":
        with Path("/dev/full").open("w", encoding="utf-8") as full:
            end = application(way, stderr=full, **given)
    else:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            end = application(way, stderr=writer, **given)
        finally:
            os.close(writer)
    # Python's own traceback, which it cannot write, makes 120 of the status.
    in_buffer = way == "raises" and not unbuffered
    assert end.status == (120 if in_buffer else STATUS.get(way, 0))
    assert end.counted == (0, spans_of(way))
    assert end.seconds < SLACK


def test_spans_on_standard_error_are_whole_lines(application):
    end = application("reaches_its_end", SPANS="1000", stderr=subprocess.PIPE)
    assert end.counted == (1000, 0)
    assert len(end.log_lines) == 1
    assert "no exporter is configured" in end.log_lines[0]
