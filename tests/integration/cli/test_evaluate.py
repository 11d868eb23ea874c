"""``clew evaluate``: which evaluators, which sessions, what is told, and how it ends."""

import json
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from time import time_ns

import pytest

from clew import evaluations
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, turn

EVALS = """
from clew.evaluations import Evaluation, evaluator

@evaluator(version="1")
def short(session):
    return len(session.turns) < 2

@evaluator(level="turn")
def polite(turn):
    return None if not turn.output.text else "please" in turn.output.text

@evaluator(kind="LLM")
def judged(session):
    return Evaluation("judged", score=1, metadata={"cost": 0.25})

@evaluator
def broken(session):
    raise ValueError(f"no idea of {session.id}")

good = [short, polite]
nothing = 1

def plain(session):
    return True
"""


@pytest.fixture
def evals(tmp_path):
    (tmp_path / "evals.py").write_text(EVALS)


def current(path):
    with SessionStore(path) as store:
        return [(it.session_id, it.name, it.label) for it in evaluations.current(store)]


def test_the_evaluators_that_are_named_look_at_what_is_new(clew, filled, evals, path):
    done = clew("evaluate", "evals:short", "evals.py:polite", COLUMNS="100")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["EVALUATOR", "MADE", "UNKNOWN", "FAILED", "FRESH", "NOT", "QUIET", "COST"]
    assert ["short", "3", "0", "0", "0", "0", "-"] in lines
    assert ["polite", "3", "1", "0", "0", "0", "-"] in lines
    assert done.stderr == ""
    assert ("chat-42", "short", "no") in current(path)
    again = clew("evaluate", "evals.py:good", COLUMNS="100")
    assert ["short", "0", "0", "0", "3", "0", "-"] in map(str.split, again.stdout.splitlines())


def test_those_of_the_configuration_if_none_is_named(clew, filled, evals, tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text('[tool.clew]\nevaluators = ["evals:short", "evals.py:polite"]\n')
    told = json.loads(clew("evaluate", "--json").stdout)
    assert set(told["evaluators"]) == {"short", "polite"}
    project.write_text('[tool.clew.evaluators]\nmine = "evals:good"\n')
    told = json.loads(clew("evaluate", "--json", "--again").stdout)
    assert told["evaluators"]["short"] == {
        "made": 3,
        "unknown": 0,
        "failed": 0,
        "fresh": 0,
        "waiting": 0,
        "cost": 0.0,
    }
    project.write_text("[tool.clew]\nevaluators = 3\n")
    assert "must be a list of texts" in clew("evaluate", status=1).stderr


def test_only_the_sessions_that_are_wanted(clew, filled, evals, path):
    clew("evaluate", "evals:short", "--user", "bob")
    assert current(path) == [("other", "short", "yes")]
    clew("evaluate", "evals:short", "--session", "chat-42", "--session", "other")
    assert {it[0] for it in current(path)} == {"other", "chat-42"}
    clew("evaluate", "evals:short", "--errors", "--limit", "1")
    assert {it[0] for it in current(path)} == {"other", "chat-42", "chat-43"}
    wrong = clew("evaluate", "evals:short", "--session", "a", "--user", "b", status=2)
    assert "leave out --user" in wrong.stderr
    assert (
        "there is no session 'nobody'"
        in clew("evaluate", "evals:short", "--session", "nobody", status=1).stderr
    )


def test_a_failure_is_told_and_the_rest_is_done(clew, filled, evals):
    done = clew("evaluate", "evals:broken", "evals:short", status=1)
    assert "broken failed for chat-42: ValueError: no idea of chat-42" in done.stderr
    told = json.loads(clew("evaluate", "evals", "--json", status=1).stdout)
    assert (told["evaluators"]["broken"]["failed"], told["evaluators"]["short"]["fresh"]) == (3, 3)
    assert {it["session_id"] for it in told["failures"]} == {"chat-42", "chat-43", "other"}


def test_a_file_that_is_imported_as_a_module_as_well_is_one(clew, filled, tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").touch()
    (tmp_path / "app" / "evals.py").write_text(EVALS)
    (tmp_path / "app" / "more.py").write_text("from app.evals import short\n")
    for named in (["app/evals.py:short", "app/more.py"], ["app/more.py", "app/evals.py:short"]):
        told = json.loads(clew("evaluate", "--json", "--again", *named).stdout)
        assert set(told["evaluators"]) == {"short"}
    (tmp_path / "other.py").write_text(EVALS)
    told = clew("evaluate", "app/evals.py:short", "other.py:short", status=1).stderr
    assert "two evaluators are named 'short'" in told


def test_an_evaluator_that_exits_has_failed(clew, filled, path, tmp_path):
    """As argparse, click and quit() do."""
    (tmp_path / "exits.py").write_text(
        "import sys\n"
        "from clew.evaluations import evaluator\n"
        "@evaluator\n"
        "def exits(session):\n"
        "    return sys.exit(0) if session.id == 'other' else True\n"
    )
    done = clew("evaluate", "exits.py", status=1)
    assert "exits failed for other: EvaluationError: evaluator 'exits' raised SystemExit: 0" in (
        done.stderr
    )
    assert {it[0] for it in current(path)} == {"chat-42", "chat-43"}


def test_a_task_that_ends_the_event_loop_is_told(clew, filled, tmp_path):
    (tmp_path / "exits.py").write_text(
        "import asyncio, sys\n"
        "from clew.evaluations import evaluator\n"
        "async def leave():\n"
        "    sys.exit(0)\n"
        "@evaluator\n"
        "async def exits(session):\n"
        "    await asyncio.create_task(leave())\n"
    )
    done = clew("evaluate", "exits.py", status=1)
    assert "Stopped: an evaluator has ended the event loop" in done.stderr


def test_as_many_functions_as_are_allowed_run_at_a_time(clew, path, tmp_path):
    """However few processors there are."""
    with closing(connect(path, create=True)) as connection:
        for number in range(40):
            Writer(connection).add(turn(f"s{number}"))
    (tmp_path / "together.py").write_text(
        "from threading import Barrier\n"
        "from clew.evaluations import evaluator\n"
        "all_here = Barrier(40, timeout=20)\n"
        "@evaluator\n"
        "def together(session):\n"
        "    return all_here.wait() >= 0\n"
    )
    done = clew("evaluate", "together.py", "--concurrency", "40", "--json")
    assert json.loads(done.stdout)["evaluators"]["together"]["made"] == 40


def test_it_stops_at_the_budget(clew, filled, evals):
    done = clew("evaluate", "evals:judged", "--max-cost", "0.6", "--json")
    told = json.loads(done.stdout)
    assert (told["cost"], told["evaluators"]["judged"]["made"]) == (0.5, 2)
    assert told["stopped"] == "max_cost=0.6 is reached: 0.5 was spent"
    assert done.stderr == f"Stopped: {told['stopped']}\n"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("nowhere:short", "there is no module 'nowhere' in "),
        ("nowhere.py:short", "there is no file "),
        ("evals:missing", "there is no 'missing' in evals; there are short, polite, judged"),
        ("evals:nothing", "evals:nothing is int 1, and no evaluator"),
        ("evals:plain", "no evaluator: decorate it with @evaluator"),
        ("json", "there is no evaluator in json: decorate a function"),
        ("wrong.py", "wrong.py cannot be imported: NameError: name 'missing' is not defined"),
        ("script.py", "script.py cannot be imported: SystemExit: 0 ("),
    ],
)
def test_what_is_no_evaluator_is_named(clew, filled, evals, tmp_path, named, message):
    (tmp_path / "wrong.py").write_text("x = 1\nmissing\n")
    (tmp_path / "script.py").write_text("import sys\nsys.exit(0)\n")
    told = clew("evaluate", named, status=1).stderr
    assert message in told
    assert named != "wrong.py" or "line 2" in told


def test_options_that_make_no_sense_are_named(clew, filled, evals):
    assert "'soon' is no time" in clew("evaluate", "evals", "--quiet", "soon", status=2).stderr
    for option in ("--concurrency=0", "--rate=-1", "--rate=0", "--retries=-1", "--max-cost=-1"):
        assert "is not in the range" in clew("evaluate", "evals", option, status=2).stderr
    none = clew("evaluate", status=2).stderr
    assert "no evaluator is named: name one, as in clew evaluate app/evals.py:resolved" in none
    assert "give one of them" in clew("evaluate", "evals", "--watch", "--again", status=2).stderr
    (missing,) = clew("evaluate", "evals", "--store", "no.db", status=1).stderr.splitlines()
    assert missing.startswith("Error: there is no store at ")


@pytest.fixture
def watch(environment, evals, tmp_path):
    """Run ``clew evaluate --watch`` while a block runs, started as by ``&`` in a script."""

    @contextmanager
    def run(*arguments, status=130):
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Which is inherited.
        process = subprocess.Popen(
            [sys.executable, "-m", "clew", "evaluate", "--watch", "--json", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        signal.signal(signal.SIGINT, before)
        try:
            yield process
            if status:
                process.send_signal(status - 128)
            assert process.wait(60) == status
        finally:
            process.kill()
            process.communicate()

    return run


def made(process, name="short"):
    return json.loads(process.stdout.readline())["evaluators"][name]["made"]


def test_sessions_are_evaluated_as_they_come_and_go_on(watch, filled, write, path):
    with watch("evals:short", "--quiet", "0s") as process:
        assert made(process) == 3
        write(turn("new"))
        assert made(process) == 1
        write(turn("new", number=2))
        assert made(process) == 1
    with SessionStore(path) as store:
        history = evaluations.history(store, session_id="new")
    assert [it.label for it in history] == ["yes", "no"]


def test_only_when_they_are_quiet(watch, write, path):
    write(turn("old"), turn("new", start=time_ns() - SECOND))
    with watch("evals:short", "--quiet", "6s", status=143) as process:
        assert made(process) == 1
        assert [it[0] for it in current(path)] == ["old"]
        assert made(process) == 1
    assert {it[0] for it in current(path)} == {"old", "new"}


def test_it_waits_for_a_store_that_is_not_there(watch, write):
    with watch("evals:short", "--quiet", "0s") as process:
        assert process.stderr.readline().startswith("Waiting for ")
        write(turn())
        assert made(process) == 1


def test_a_watch_ends_when_its_budget_is_spent(watch, filled, write):
    with watch("evals:judged", "--quiet", "0s", "--max-cost", "0.9", status=0) as process:
        assert made(process, "judged") == 3
        write(turn("new"))
        assert process.wait(60) == 0
        assert "max_cost=0.9 is reached" in process.stderr.read()
