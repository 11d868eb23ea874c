"""Several processes on several machines share the work on a ClickHouse, and some are killed."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from time import monotonic, sleep

import pytest
from click.testing import CliRunner

from clew import evaluations, sessions
from clew.cli import main
from clew.evaluations.running.engine_claims import EngineClaims, Key
from clew.sessions.engines import workers
from clew.sessions.engines.changes import outdone
from clew.sessions.engines.clickhouse_engine import ClickHouseEngine, open_engine
from clew.sessions.opening import open_engine_store
from tests.release.engines.clickhouse_support import fill, fill_at, more, place, skip
from tests.release.engines.evaluated_engine import run
from tests.support.conversation_spans import SECOND, START, turn

pytestmark = [skip, pytest.mark.timeout(900)]
SESSIONS = 40
AT_ONCE = 4
BEFORE_STUCK = 5
LEASE_SECONDS = 20
"""Long enough for a busy machine to renew them."""
EVALS = f'''
import os, platform, threading
from clew.evaluations import Evaluation, evaluator
from clew.evaluations.running.engine_run_store import EngineRunStore

platform.node = lambda: os.environ["MACHINE"]
EngineRunStore.__init__.__kwdefaults__["lease_seconds"] = {LEASE_SECONDS}.0

def note(text):
    line = os.open(os.environ["PAID"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(line, f"{{text}}\\n".encode())
    os.close(line)

@evaluator(version="1")
def paid(session):
    note(f"{{os.getpid()}} {{session.id}}")
    return Evaluation(score=len(session.turns), metadata={{"process": os.getpid()}})

@evaluator(name="paid", version="1")
def stuck(session):
    """Pays for what it looks at after the first ones, and never learns what it has paid for."""
    global left
    with lock:
        left -= 1
        mine = left
    said = paid.function(session)
    if mine < 0:
        threading.Event().wait()
    return said

left, lock = {BEFORE_STUCK}, threading.Lock()
'''


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A ClickHouse with sessions that are summarised, and with clew's tables."""
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    (tmp_path / "evals.py").write_text(EVALS)
    with place("http", tmp_path / "clickhouse") as url:
        fill_at(url, [span for number in range(SESSIONS) for span in turn(f"s{number:03}")])
        run("engines", "init", "--store", url)
        run("engines", "update", "--store", url)
        yield url


@pytest.fixture
def start(url, tmp_path):
    """Start ``clew evaluate`` on a machine of its own, as often as is wanted."""
    started = []

    def start(evaluator="paid"):
        environment = {
            **os.environ,
            "PAID": str(tmp_path / "paid.txt"),
            "MACHINE": f"machine-{len(started)}",
        }
        command = (sys.executable, "-m", "clew", "evaluate", f"evals.py:{evaluator}")
        options = ("--store", url, "--concurrency", str(AT_ONCE), "--json")
        process = subprocess.Popen(
            [*command, *options],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def paid(folder):
    """Return the calls that were begun: of which process, and of which session."""
    file = folder / "paid.txt"
    lines = file.read_text().splitlines() if file.exists() else ()
    return [(int(process), session) for process, session in map(str.split, lines)]


def until(condition):
    """Wait for what other processes do."""
    end = monotonic() + 400
    while not condition():
        assert monotonic() < end
        sleep(0.1)


def made_by(processes):
    """Let these end by themselves; return how many verdicts they say that they have made."""
    made = 0
    for process in processes:
        output, errors = process.communicate(timeout=500)
        assert process.returncode == 0, output + errors
        made += json.loads(output)["evaluators"]["paid"]["made"]
    return made


def kept(url):
    """Return how many verdicts are there."""
    with closing(open_engine(url)) as engine:
        return engine.query("SELECT count(*) AS n FROM clew_evaluations").rows[0][0]


def verdicts(url):
    """Return which process has judged each session, by what is shown to everybody."""
    with sessions.open(url) as store:
        shown = evaluations.current(store)
        assert len(evaluations.history(store)) == len(shown)
        now = store.tables.now_ns()
        claims = store.sql(
            "SELECT min(until_ns) AS least, max(until_ns) AS most FROM clew_claims GROUP BY claim"
        )
        assert all(row["least"] == 0 or row["most"] < now + 1 for row in claims)
    assert len({it.session_id for it in shown}) == len(shown) == SESSIONS
    return {it.session_id: it.metadata["process"] for it in shown}


def test_processes_on_three_machines_pay_for_each_session_once(url, start, tmp_path):
    assert made_by([start() for _ in range(3)]) == SESSIONS
    assert sorted(verdicts(url).items()) == sorted((it, by) for by, it in paid(tmp_path))
    assert made_by([start()]) == 0
    assert len(paid(tmp_path)) == SESSIONS


def test_only_what_a_killed_process_had_in_hand_is_paid_for_again(url, start, tmp_path):
    dying = [start("stuck"), start("stuck")]
    in_hand = BEFORE_STUCK + AT_ONCE
    until(lambda: len(paid(tmp_path)) == 2 * in_hand and kept(url) == 2 * BEFORE_STUCK)
    others = [start(), start()]  # They do the rest, and wait for what the first two have claimed.
    until(lambda: len(paid(tmp_path)) > 2 * in_hand)
    for process in dying:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert made_by(others) == SESSIONS - 2 * BEFORE_STUCK
    by = verdicts(url)
    killed = {it.pid for it in dying}
    calls = paid(tmp_path)
    lost = Counter(it for process, it in calls if process in killed and by[it] != process)
    assert lost.total() == 2 * AT_ONCE
    assert Counter(it for _, it in calls) == Counter(by.keys()) + lost


def test_a_claim_that_was_not_renewed_is_nobodys(url):
    key, other, over = (Key(number, "paid") for number in (7, 8, 9))
    with closing(open_engine(url)) as one, closing(open_engine(url)) as two:
        first, second = EngineClaims(one), EngineClaims(two)
        row = {"hash_range": 7, "name": "paid", "owner": "far/1/away", "claim": 1}
        now = one.now_ns()
        ended = {**row, "hash_range": 9, "until_ns": now, "made_ns": now - 10**9}
        lasts = {**row, "until_ns": now + 3600 * 10**9, "made_ns": now}
        one.insert("clew_claims", [ended, lasts])
        assert first.take([key, other]) == {other}
        assert second.take([key, other, over]) == {over}
        assert (second.holds(over), first.take([over])) == (True, set())
        second.close()
        assert not second.holds(over)
        assert first.take([over]) == {over}
        first.close()


def test_a_window_bounds_what_is_answered_whatever_was_read_before(tmp_path):
    old = START - 40 * 86_400 * SECOND
    url = fill([*turn("old", "bob", start=old), *turn("both", start=old)], tmp_path / "ch")
    more([*turn("new"), *turn("both", number=2)], url, tmp_path)
    init(url)
    with sessions.open(url) as store:
        assert len(store.list()) == 3
    with sessions.open(f"{url}?since=2026-05-01") as store:
        assert sorted(it.id for it in store.list()) == ["both", "new"]
        for view in ("sessions", "turns", "spans", "user_sessions"):
            query = f"SELECT DISTINCT session_id FROM {view} ORDER BY session_id"
            assert [it["session_id"] for it in store.sql(query)] == ["both", "new"]
        assert store.sql("SELECT count(*) AS n FROM spans")[0]["n"] == 6
        query = "SELECT count(*) AS n FROM spans JOIN sessions USING (session_id)"
        assert store.sql(query)[0]["n"] == 6
        assert [it["user_id"] for it in store.users()] == ["ada"]
        assert [it.id for it in store.several(["old", "new"])] == ["new"]
        assert len(store.sql("SELECT * FROM evaluation_history")) == 0


def init(url):
    assert CliRunner().invoke(main, ["engines", "init", "--store", url]).exit_code == 0


@pytest.mark.parametrize("other_began", [0, -60 * SECOND])
def test_of_two_updates_at_once_no_turn_is_lost(tmp_path, monkeypatch, other_began):
    """The first one reads, another turn comes, a second one updates, and the first one writes."""
    url = fill(turn("chat"), tmp_path / "ch")
    init(url)
    plain, now_ns, found = workers.summarise, ClickHouseEngine.now_ns, []

    def slow(parts, spans):
        monkeypatch.setattr(workers, "summarise", plain)
        more(turn("chat", number=2, start=START + 60 * SECOND), url, tmp_path)
        # If it began before the first one, though it read later, the batch of the first one counts.
        monkeypatch.setattr(ClickHouseEngine, "now_ns", lambda it: now_ns(it) + other_began)
        found.append(turns_of_chat(url))
        monkeypatch.setattr(ClickHouseEngine, "now_ns", now_ns)
        return plain(parts, spans)

    monkeypatch.setattr(workers, "summarise", slow)
    found.append(turns_of_chat(url))
    assert found == [2, 1 if other_began else 2]
    assert turns_of_chat(url) == 2
    more(turn("chat", number=3, start=START + 120 * SECOND), url, tmp_path)
    assert turns_of_chat(url) == 3
    with open_engine_store(url, processes=1) as store:
        assert outdone(store.tables) == {}


def turns_of_chat(url):
    with open_engine_store(url, processes=1) as store:
        return len(store.get("chat").turns)
