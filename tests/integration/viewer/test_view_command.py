"""``clew view`` as a person runs it."""

import gzip
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from html import unescape
from threading import Timer
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from clew.sessions.store import SessionStore
from clew.store.otlp import to_json
from tests.integration.viewer.server import serving
from tests.support.conversation_spans import turn


def read(address):
    with urlopen(address, timeout=20) as answer:
        return answer.read().decode()


def is_free(port):
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def skip_without_ipv6(host):
    if ":" not in host:
        return
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")


def send(address, spans):
    body = gzip.compress(to_json(spans))
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with urlopen(Request(address, body, headers), timeout=20) as answer:
        return json.loads(answer.read() or b"{}")


def test_it_shows_what_is_in_the_store(path, filled):
    with serving(path) as (address, process):
        assert "Where is my order A-17?" in read(address)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_it_listens_only_on_this_machine(path, filled):
    with serving(path) as (address, _):
        port = int(address.rstrip("/").rpartition(":")[2])
        own = socket.gethostbyname(socket.gethostname())
        if own.startswith("127."):
            pytest.skip("this machine has no other address")
        with socket.socket() as trial:
            trial.settimeout(5)
            assert trial.connect_ex((own, port)) != 0


def test_spans_are_received_at_both_addresses(path):
    with serving(path) as (address, _):
        assert send(f"{address}v1/traces", turn("at-the-page")) == {}
        assert "at-the-page" in read(address)


def test_the_usual_address_of_exporters_is_served_if_it_is_free(path):
    if not is_free(4318):
        pytest.skip("port 4318 is taken")
    with serving(path) as (address, _):
        assert send("http://127.0.0.1:4318/v1/traces", turn("by-an-exporter")) == {}
        assert "by-an-exporter" in read(address)


def take(listening, port, seconds=60):
    """Listen there as soon as no test beside does; what holds it longer holds it till the end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(OSError):
            listening.bind(("127.0.0.1", port))
            listening.listen()
            return


def test_it_says_when_the_usual_address_is_taken(path):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        take(other, 4318)
        process = subprocess.Popen(
            [sys.executable, "-m", "clew", "view", "--no-browser", "--port", "0", "--store", path],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            first = process.stdout.readline()
            while "Ctrl-C" not in process.stdout.readline():
                assert process.poll() is None
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
            process.stdout.close()
    assert "Port 4318 is taken" in first


def test_a_port_that_is_taken_is_named(path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "clew", "view", "--no-browser", "--port", str(port)]
        command += ["--store", path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["view", "--no-browser"], ["collect"]])
@pytest.mark.parametrize(
    "host", ["[::1", "bad host", "256.1.1.1", "a" * 70 + ".example", "192.0.2.1"]
)
def test_a_host_that_this_machine_has_not_is_named(path, host, command):
    command = [sys.executable, "-m", "clew", *command, "--port", "0", "--host", host]
    command += ["--store", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"cannot listen on {host}: " in done.stderr
    assert "name an address of this machine with --host" in done.stderr
    assert "--port" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("LOCALHOST", "localhost"),
        ("127.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
    ],
)
def test_this_machine_needs_no_token_however_it_is_written(path, filled, host, shown):
    skip_without_ipv6(host)
    with serving(path, "--host", host) as (address, _):
        assert re.fullmatch(rf"http://{re.escape(shown)}:\d+/", address)
        assert "chat-42" in read(address)


@pytest.mark.parametrize("host", ["0", "0:0:0:0:0:0:0:0", "::", "", "::ffff:0:0"])
def test_all_addresses_need_a_token_however_they_are_written(path, filled, host):
    skip_without_ipv6(host)
    with serving(path, "--host", host) as (address, _):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=.+", address)
        with pytest.raises(OSError, match="401"):
            read(address.partition("?")[0])


@pytest.mark.parametrize(
    ("pragma", "why"), [("user_version", "newer release of clew"), ("application_id", "another")]
)
def test_a_file_that_it_can_never_read_is_not_served(path, filled, pragma, why):
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA {pragma} = 99")
    connection.close()
    command = [sys.executable, "-m", "clew", "view", "--no-browser", "--port", "0"]
    command += ["--store", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
    listed = [sys.executable, "-m", "clew", "sessions", "--store", path]
    said = subprocess.run(listed, capture_output=True, text=True, timeout=60, check=False).stderr
    assert said == done.stderr


def test_a_store_that_is_busy_is_served(path, filled):
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    later = Timer(5, connection.close)
    later.start()
    with serving(path) as (address, _):
        later.join()
        assert "chat-42" in read(address)


def test_it_ends_at_once_while_a_page_listens(path, filled):
    with serving(path) as (address, process):
        events = urlopen(f"{address}events", timeout=20)
        events.readline()
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert time.monotonic() - started < 5
        events.close()


def seen(address):
    """Return the number of changes that a page shows."""
    return int(re.search(r'data-seen="(\d+)"', read(address))[1])


def next_event(events):
    """Return the next event of a stream, without comments and the delay for connecting again."""
    while True:
        line = events.readline()
        assert line
        if line.startswith(b"data:"):
            return int(line.removeprefix(b"data:"))


def test_a_change_is_told(path, filled, write):
    with serving(path) as (address, _):
        before = seen(address)
        with urlopen(f"{address}events?seen={before}", timeout=30) as events:
            write(turn("more", number=7, tool=False))
            assert next_event(events) == before + 1


def test_a_change_before_a_page_listens_is_told_at_once(path, filled, write):
    with serving(path) as (address, _):
        before = seen(address)
        with urlopen(f"{address}events?seen={before}", timeout=30) as events:
            write(turn("more", number=7, tool=False))
            next_event(events)
        with urlopen(f"{address}events?seen={before}", timeout=30) as events:
            assert next_event(events) == seen(address) == before + 1


def test_without_its_packages_it_names_the_extra(path):
    code = (
        "import sys; sys.modules['nh3'] = None\n"
        "import importlib.util as util; found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'nh3' else found(name, *rest)\n"
        "from clew.cli import main; main(['view', '--no-browser', '--store', 'x.db'])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "clew view needs nh3" in done.stderr
    assert "[view]" in done.stderr


def test_other_addresses_need_the_token_that_is_printed(path, filled):
    everywhere = ".".join("0000")
    with serving(path, "--host", everywhere) as (address, _):
        assert "?token=" in address
        base = address.partition("?")[0]
        with pytest.raises(OSError, match="401"):
            read(base)


def contents(path):
    """Return how much is in each table of the store."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for (name,) in tables
        }


def test_the_store_is_only_read_unless_somebody_rates(path, filled):
    with SessionStore(path) as store:
        store.list()  # The summaries are made now.
    before = contents(path)
    with serving(path) as (address, _):
        pages = ("", "users", "overview", "live", "session?id=chat-42", "session.json?id=chat-42")
        others = ("?rated=bad", "compare?a=chat-42&b=chat-43", "session.py?id=chat-42")
        for page in (*pages, *others):
            html = read(f"{address}{page}")
            assert contents(path) == before, page
        html = read(f"{address}session?id=chat-42")
        action = unescape(re.search(r'action="/(evaluations[^"]*)"', html)[1])
        token = re.search(r'name="form_token" value="([^"]+)"', html)[1]
        form = urlencode({"form_token": token, "thumbs": "bad", "note": "odd"}).encode()
        urlopen(Request(f"{address}{action}", form), timeout=20).close()
    after = contents(path)
    assert {name for name in after if after[name] != before[name]} <= {
        "evaluation",
        "sqlite_sequence",
    }
    assert after["evaluation"] == before["evaluation"] + 2
