"""``clew collect``: spans of other programs come into the store over OTLP/HTTP."""

import json
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from clew.store.otlp import to_json, to_protobuf
from tests.support.conversation_spans import turn


@pytest.fixture
def collect(environment):
    """Run ``clew collect`` while a block runs; yields its process and URL."""

    @contextmanager
    def run(*arguments, by=signal.SIGINT):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            [sys.executable, "-m", "clew", "collect", "--port", "0", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            line = process.stderr.readline()
            assert line.startswith("Receiving at http://")
            yield process, line.split()[2]
            process.send_signal(by)
            assert process.wait(30) == 0
            assert process.stderr.read() == ""
        finally:
            signal.signal(signal.SIGINT, before)
            process.kill()
            process.communicate()

    return run


def send(url, body, media_type="application/x-protobuf"):
    with urlopen(Request(url, body, {"Content-Type": media_type}), timeout=30) as answer:
        return answer.status


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_what_is_received_is_in_the_store(clew, collect, by):
    with collect(by=by) as (process, url):
        assert send(url, to_protobuf(turn())) == 200
        assert send(url, to_json([*turn(), *turn("other")]), "application/json") == 200
        assert [it["id"] for it in json.loads(clew("sessions", "--json").stdout)] == [
            "other",
            "chat-42",
        ]
        with pytest.raises(HTTPError, match="400"):
            send(url, b"not protobuf")
    assert process.returncode == 0


def test_it_tells_how_much_it_was(collect):
    with collect("--json") as (process, url):
        send(url, to_protobuf(turn()))
        send(url, to_protobuf(turn()))
        process.send_signal(signal.SIGINT)
        assert json.loads(process.stdout.read()) == {"received": 6, "new": 3}


def test_the_store_is_kept_within_its_limits(collect, clew, environment):
    environment["CLEW_STORE_MAX_DAYS"] = "1"
    with collect() as (_, url):
        send(url, to_protobuf(turn()))
        while json.loads(clew("sessions", "--json").stdout):
            pass  # It is tidied up once a second at first.


def test_an_export_of_one_store_is_collected_in_another(clew, filled, collect, tmp_path):
    other = tmp_path / "other.db"
    with collect("--store", str(other)) as (_, url):
        clew("export", "--to", "otlp", "--endpoint", url)
    assert clew("sessions", "--json", "--store", other).stdout == clew("sessions", "--json").stdout


def test_a_store_that_is_deleted_meanwhile_is_made_anew(collect, clew, path):
    with collect() as (_, url):
        send(url, to_protobuf(turn()))
        for file in path.parent.glob("sessions.db*"):
            file.unlink()
        assert send(url, to_protobuf(turn("after"))) == 200
        assert [it["id"] for it in json.loads(clew("sessions", "--json").stdout)] == ["after"]


def test_other_names_of_it_have_to_be_given(collect):
    with collect("--name", "collector.test") as (_, url):
        request = Request(url, to_protobuf(turn()), {"Content-Type": "application/x-protobuf"})
        request.add_header("Host", "collector.test:4318")
        with urlopen(request, timeout=30) as answer:
            assert answer.status == 200
        request.remove_header("Host")
        request.add_header("Host", "elsewhere.test")
        with pytest.raises(HTTPError, match="403"):
            urlopen(request, timeout=30)


def test_a_port_that_is_taken_is_named(clew):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = clew("collect", "--port", port, status=1)
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
