"""Every question has the same answer on an engine as on the SQLite store, over generated stores.

And the one that is worked out plainly from the spans, so that SQLite is not its own measure.
"""

import os
import subprocess
import sys
from contextlib import closing
from importlib import import_module

import pytest
from click.testing import CliRunner

from clew import sessions
from clew.cli import main
from clew.sessions.opening import copy_of, open_engine_store
from clew.store.database import connect
from clew.store.writer import Writer
from tests.release.engines.answers_table import ANSWERS
from tests.support.against_plain import plain_differences
from tests.support.asked_once import ask_once
from tests.support.generated_stores import generated_store
from tests.support.plain_answers import PlainAnswers
from tests.support.same_answers import compared, differences

ENGINE = os.environ.get("ENGINE")
STORES = int(os.environ.get("ENGINE_STORES", "1000"))
THOROUGH = min(STORES, 6)
"""Stores that are asked before late spans come as well, and compared with the plain answers."""
if ENGINE is None:
    pytest.skip("run nox -s engines", allow_module_level=True)
SUPPORT = import_module(f"tests.release.engines.{ENGINE}_support")
pytestmark = pytest.mark.timeout(600)


def add(path, spans):
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(spans)


@pytest.mark.parametrize("seed", range(STORES))
def test_an_engine_answers_like_the_sqlite_store(seed, tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    monkeypatch.chdir(tmp_path)  # There is no pyproject.toml to be read for each metric.
    first, late = generated_store(seed, sessions=8 - seed % 8)
    add(tmp_path / "sessions.db", first)
    url = SUPPORT.fill(first, tmp_path)
    splits = SUPPORT.SPLITS
    if SUPPORT.KEEPS_TABLES and seed % 10:  # Of every tenth they are beside it.
        make_tables(url)
        splits = False
    with open_engine_store(url, processes=1) as store:
        store.catch_up()
        if seed < THOROUGH:
            compare(store, splits=splits)
    # Late spans change turns and sessions that are summarised already.
    add(tmp_path / "sessions.db", late)
    SUPPORT.more(late, url, tmp_path)
    with open_engine_store(url, processes=1) as store:
        compare(store, splits=splits)


def make_tables(url):
    done = CliRunner().invoke(main, ["engines", "init", "--store", url])
    assert done.exit_code == 0, done.output


KILLED = """
import os, signal, sys
from clew.sessions.engines import updating
from clew.sessions.opening import open_engine_store

updating._SPANS_PER_BATCH = 20
kill = lambda progress: os.kill(os.getpid(), signal.SIGKILL)
with open_engine_store(sys.argv[1], processes=1, tell=kill) as store:
    store.catch_up()
"""


def compare(found, *, splits=SUPPORT.SPLITS):
    found.catch_up()
    ask_once(found)
    lines = []
    with sessions.open() as expected:
        for it in compared(expected, found, splits=splits):
            ANSWERS.add(it)
            lines += it.lines
    assert not lines, "\n".join(lines[:20])


@pytest.mark.skipif(ENGINE == "spark", reason="Spark's client does not start in such a program")
def test_what_a_killed_process_had_begun_is_done_again(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    spans = [it for portion in generated_store(100) for it in portion]
    add(tmp_path / "sessions.db", spans)
    url = SUPPORT.fill(spans, tmp_path)
    for _ in range(2):  # Each gets a batch further, or is killed in the same one again.
        done = subprocess.run(
            [sys.executable, "-c", KILLED, url],
            check=False, timeout=120, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == -9, done.stderr
    with sessions.open(url) as store:
        compare(store)


def test_with_its_tables_on_the_engine_everything_can_be_asked_together(tmp_path, monkeypatch):
    if not SUPPORT.KEEPS_TABLES:
        pytest.skip("clew keeps no tables there")
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    first, late = generated_store(200)
    add(tmp_path / "sessions.db", first)
    url = SUPPORT.fill(first, tmp_path)
    make_tables(url)
    done = subprocess.run([sys.executable, "-c", KILLED, url], check=False, timeout=120)
    assert done.returncode == -9
    with sessions.open(url) as store:
        compare(store, splits=False)
    add(tmp_path / "sessions.db", late)
    SUPPORT.more(late, url, tmp_path)
    with sessions.open(url) as store:
        compare(store, splits=False)
    assert not list(tmp_path.rglob("*.duckdb"))  # Nothing is kept on this machine.


def test_a_copy_of_an_engine_is_the_store_again(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    first, late = generated_store(300)
    add(tmp_path / "sessions.db", first)
    url = SUPPORT.fill(first, tmp_path)
    path = copy_of(url)
    with sessions.open() as expected, sessions.open(path) as found:
        assert not differences(expected, found)
    add(tmp_path / "sessions.db", late)
    SUPPORT.more(late, url, tmp_path)
    assert copy_of(url) == path
    with sessions.open() as expected, sessions.open(path) as found:
        assert not differences(expected, found)


@pytest.mark.parametrize("seed", range(THOROUGH))
def test_an_engine_answers_as_is_worked_out_plainly(seed, tmp_path, monkeypatch):
    # Beside it are the tables of an engine that keeps none.
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    first, late = generated_store(seed)
    url = SUPPORT.fill(first, tmp_path)
    with sessions.open(url) as store:
        lines = plain_differences(store, PlainAnswers(first), splits=SUPPORT.SPLITS)
    assert not lines, "\n".join(lines[:20])
    SUPPORT.more(late, url, tmp_path)
    with sessions.open(url) as store:
        lines = plain_differences(store, PlainAnswers([*first, *late]), splits=SUPPORT.SPLITS)
    assert not lines, "\n".join(lines[:20])
