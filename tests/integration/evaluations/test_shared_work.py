"""Several processes share the work: nothing is paid for twice, and nothing is left out."""

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from time import monotonic, sleep

import pytest

from clew import evaluations
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import turn

SESSIONS = 60
EVALS = '''
import os, threading, time
from clew.evaluations import evaluator

def note(text):
    line = os.open(os.environ["PAID"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(line, f"{text}\\n".encode())
    os.close(line)

@evaluator(version="1")
def paid(session):
    note(session.id)
    return len(session.turns)

@evaluator(name="paid", version="1")
def stuck(session):
    """Is never done with what it looks at after the first ten, and has not paid for that yet."""
    global left
    with lock:
        left -= 1
        mine = left
    if mine < 0:
        threading.Event().wait()
    return paid.function(session)

left, lock = 10, threading.Lock()
'''


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "spans.db"
    with closing(connect(path, create=True)) as connection:
        for number in range(SESSIONS):
            Writer(connection).add(turn(f"s{number:03}"))
    (tmp_path / "evals.py").write_text(EVALS)
    with SessionStore(path) as store:
        store.catch_up()
    return path


@pytest.fixture
def start(path):
    """Start ``clew evaluate``, as often as is wanted."""
    started = []

    def start(*arguments, evaluator="paid", **options):
        environment = {
            **os.environ,
            "CLEW_STORE": str(path),
            "PAID": str(path.parent / "paid.txt"),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "clew", "evaluate", f"evals.py:{evaluator}", *arguments],
            cwd=path.parent,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def paid(path):
    file = path.parent / "paid.txt"
    return Counter(file.read_text().split() if file.exists() else ())


def verdicts(path):
    with SessionStore(path, catches_up=False) as store:
        return [it.session_id for it in evaluations.history(store)]


def until(condition):
    """Wait for what another process does."""
    end = monotonic() + 60
    while not condition():
        assert monotonic() < end
        sleep(0.02)


def claimed(path):
    with closing(connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM evaluation_claim").fetchone()[0]


def test_three_processes_share_the_work(path, start):
    for process in [start() for _ in range(3)]:
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 0, output + errors
    assert len(verdicts(path)) == len(set(verdicts(path))) == SESSIONS
    assert set(paid(path).values()) == {1}
    assert claimed(path) == 0


def test_what_a_killed_process_had_claimed_is_taken_over_at_once(path, start):
    dies = start(evaluator="stuck")
    until(lambda: len(verdicts(path)) == 10 and claimed(path) >= 8)
    others = [start(), start()]  # They wait for what it has claimed.
    until(lambda: len(verdicts(path)) >= SESSIONS - 16)
    dies.send_signal(signal.SIGKILL)
    dies.wait(60)
    for process in others:
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 0, output + errors
    assert len(verdicts(path)) == len(set(verdicts(path))) == SESSIONS
    assert set(paid(path).values()) == {1}
    assert claimed(path) == 0


def test_a_run_that_was_killed_goes_on_where_it_was(path, start):
    dies = start(evaluator="stuck")
    until(lambda: len(verdicts(path)) == 10)
    dies.send_signal(signal.SIGKILL)
    dies.wait(60)
    output, errors = start("--json").communicate(timeout=100)
    assert '"made": 50' in output, output + errors
    assert set(paid(path).values()) == {1}


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_a_signal_keeps_what_is_done(path, start, number, status):
    """The second one leaves what cannot be ended. Also where a shell has ignored the signal."""
    stops = start(
        "--json", evaluator="stuck", preexec_fn=lambda: signal.signal(number, signal.SIG_IGN)
    )
    until(lambda: len(verdicts(path)) == 10)
    stops.send_signal(number)
    stops.send_signal(number)
    until(lambda: stops.poll() is not None or stops.send_signal(number))
    output, errors = stops.communicate(timeout=60)
    assert stops.returncode == status, output + errors
    assert '"made": 10' in output
    assert claimed(path) == 0
    assert start().wait(60) == 0
    assert set(paid(path).values()) == {1}
    assert len(paid(path)) == SESSIONS
