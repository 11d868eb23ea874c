"""DuckDB and Parquet: what only they have."""

import os
import subprocess
import sys
from threading import Barrier, Thread

import pytest
from click.testing import CliRunner

from clew import sessions
from clew.cli import main
from clew.core.errors import ConfigurationError
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError, UnsupportedError
from clew.sessions.opening import open_engine_store
from tests.release.engines import duckdb_support
from tests.support.conversation_spans import SECOND, START, turn

if os.environ.get("ENGINE") != "duckdb":
    pytest.skip("run nox -s engines", allow_module_level=True)
import duckdb

from clew.sessions.engines.duckdb_engine import local_tables, open_engine

DAY = 86_400 * SECOND


@pytest.fixture(autouse=True)
def store_path(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))


@pytest.fixture
def database(tmp_path):
    """A DuckDB file with spans of two sessions, one of which has two users."""
    spans = [*turn("a"), *turn("a", "bob", number=2, start=START + 60 * SECOND), *turn("b")]
    duckdb_support.fill(spans, tmp_path)
    path = tmp_path / "own.duckdb"
    with duckdb.connect(str(path)) as connection:
        files = tmp_path / "lake" / "*.parquet"
        connection.execute(f"CREATE TABLE spans AS SELECT * FROM '{files}'")
    return path


def test_the_file_with_the_spans_is_not_written(database):
    before = database.read_bytes()
    with sessions.open(f"duckdb:{database}") as store:
        assert [it.id for it in store.list()] == ["a", "b"]
    assert database.read_bytes() == before


def test_a_filter_of_the_wrong_type_is_named(database):
    with sessions.open(f"duckdb:{database}") as store:
        for given in ({"since": "2h"}, {"user": 5}, {"limit": "3"}, {"text": 5}):
            with pytest.raises(ConfigurationError, match=" must be "):
                store.list(**given)


def test_with_tables_in_it_a_session_can_be_forgotten(database):
    url = f"duckdb:{database}"
    assert CliRunner().invoke(main, ["engines", "init", "--store", url]).exit_code == 0
    with sessions.open(url) as store:
        assert len(store.list()) == 2
        assert store.forget(session="b") == (3, 1)
        assert [it.id for it in store.list()] == ["a"]
        assert store.forget(user="bob").traces == 1
        (session,) = store.list()
        assert (session.id, len(session.turns), session.users) == ("a", 1, 1)
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM clew_turn").fetchall() == [(1,)]
        assert connection.sql("SELECT count(*) FROM spans").fetchall() == [(3,)]


def test_a_trace_of_two_users_is_not_deleted_for_one_of_them(tmp_path):
    spans = turn("a")
    shared = [*spans[:1], *turn("a", "bob")[1:]]
    url = duckdb_support.fill(shared, tmp_path)
    with sessions.open(url) as store, pytest.raises(UnsupportedError, match="also of user 'bob'"):
        store.forget(user="ada")


def test_only_the_files_of_a_day_are_read(tmp_path):
    for number in (1, 2):
        duckdb_support.fill(turn(number=number, start=START + number * DAY), tmp_path / str(number))
        (part,) = (tmp_path / str(number) / "lake").iterdir()
        ((date,),) = duckdb.sql(f"SELECT DISTINCT day FROM '{part}'").fetchall()
        (tmp_path / "days" / f"day={date}").mkdir(parents=True)
        part.rename(tmp_path / "days" / f"day={date}" / "part.parquet")
    engine = open_engine(f"parquet:{tmp_path / 'days'}")
    window = Window((START + 2 * DAY) // DAY * DAY)
    plan = engine.query(f"EXPLAIN ANALYZE {engine.spans_sql(window)}").rows[0][1]
    assert "1/2" in plan, plan  # Files that were read, of those that there are.


def test_what_is_no_table_of_spans_is_said_to_be_none(tmp_path):
    path = tmp_path / "other.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE spans (trace_id VARCHAR, said VARCHAR)")
    with pytest.raises(EngineError, match=r"no column span_id, .*only said, trace_id"):
        sessions.open(f"duckdb:{path}")
    with pytest.raises(EngineError, match="other does not exist"):
        sessions.open(f"duckdb:{path}?table=other")
    with pytest.raises(EngineError, match="there is no file"):
        sessions.open(f"duckdb:{tmp_path}/missing.duckdb")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EngineError, match="no Parquet file in"):
        sessions.open(f"parquet:{tmp_path}/empty")


def test_a_second_process_is_told_that_the_file_is_in_use(tmp_path):
    path = tmp_path / "tables.duckdb"
    engine = local_tables(path)
    code = (
        "import sys; from pathlib import Path; "
        "from clew.sessions.engines.duckdb_engine import local_tables; "
        "local_tables(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    engine.close()
    assert "DuckDB lets one process write a file" in done.stderr


def test_a_slow_question_is_cancelled(tmp_path):
    engine = local_tables(tmp_path / "tables.duckdb")
    found = []

    def ask():
        try:
            engine.query(
                "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range > b.range"
            )
        except EngineError as error:
            found.append(str(error))

    thread = Thread(target=ask)
    thread.start()
    while thread.is_alive():
        engine.cancel()
        thread.join(0.05)
    assert found == [f"{engine.label}: cancelled"]


def script(tmp_path, text):
    """Run a script that has no guard for its main part; return what it did."""
    path = tmp_path / "app.py"
    path.write_text(text)
    url = duckdb_support.fill([*turn("a"), *turn("b", number=2)], tmp_path)
    command = [sys.executable, str(path), url]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_script_without_a_guard_is_run_once(tmp_path):
    done = script(
        tmp_path,
        "import os, sys\n"
        "from clew import sessions\n"
        "print('the top of the script')\n"
        "os.cpu_count = lambda: 2\n"
        "with sessions.open(sys.argv[1]) as store:\n"
        "    print([it.id for it in store.list()])\n",
    )
    assert done.stdout.splitlines() == ["the top of the script", "['b', 'a']"], done.stderr


def test_a_process_that_is_killed_is_an_error_of_the_engine(tmp_path):
    done = script(
        tmp_path,
        "import os, sys\n"
        "from clew import sessions\n"
        "from clew.sessions.engines import workers\n"
        "from clew.sessions.engines.errors import EngineError\n"
        "os.cpu_count = lambda: 2\n"
        "class Killed(workers._Process):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self._process.kill()\n"
        "workers._Process = Killed\n"
        "with sessions.open(sys.argv[1]) as store:\n"
        "    try:\n"
        "        store.list()\n"
        "    except EngineError as error:\n"
        "        print(error)\n",
    )
    assert "has ended with the status -9" in done.stdout, done.stderr


@pytest.mark.parametrize("stores", [1, 2])
def test_two_threads_store_each_session_once(tmp_path, stores):
    spans = [
        it
        for number in range(6)
        for it in turn(f"s{number % 3}", number=number, start=START + number * DAY // 2)
    ]
    url = duckdb_support.fill(spans, tmp_path)
    opened = [open_engine_store(url, processes=1) for _ in range(stores)]
    barrier, found = Barrier(2), []

    def ask(store):
        barrier.wait()
        try:
            found.append(len(store.list()))
        except EngineError as error:
            found.append(error)

    threads = [Thread(target=ask, args=(opened[number % stores],)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in opened:
        store.close()
    assert found == [3, 3]
    with sessions.open(url) as store:
        query = "SELECT session_id, turns FROM sessions ORDER BY session_id"
        assert [tuple(it.values()) for it in store.sql(query)] == [("s0", 2), ("s1", 2), ("s2", 2)]
        assert store.sql("SELECT count(*) AS n FROM turns")[0]["n"] == 6


def with_old_and_new(folder):
    """Return the URL of a store with an old session, a new one, and one that is both."""
    old = [*turn("old", "bob", start=START - 40 * DAY), *turn("both", start=START - 40 * DAY)]
    return duckdb_support.fill([*old, *turn("new"), *turn("both", number=2)], folder)


@pytest.mark.parametrize("is_read_before", [False, True])
@pytest.mark.parametrize(
    ("window", "wanted", "user"),
    [("since=2026-05-01", ["both", "new"], "ada"), ("until=2026-05-01", ["both", "old"], "bob")],
)
def test_a_window_in_the_url_bounds_what_is_looked_at(
    tmp_path, window, wanted, user, is_read_before
):
    url = with_old_and_new(tmp_path)
    if is_read_before:
        with sessions.open(url) as store:
            assert len(store.list()) == 3
    with sessions.open(f"{url}?{window}") as store:
        assert sorted(it.id for it in store.list()) == wanted
        assert [it.id for it in store.several(["old", "new"])] == wanted[1:]
        for view in ("sessions", "turns", "spans", "user_sessions"):
            query = f"SELECT DISTINCT session_id FROM {view} ORDER BY session_id"
            assert [it["session_id"] for it in store.sql(query)] == wanted
        assert store.sql("SELECT count(*) AS n FROM spans")[0]["n"] == 6
        assert user in [it["user_id"] for it in store.users()]
        assert len(store.list(user=user, text="order")) == (2 if user == "ada" else 1)
        with pytest.raises(UnsupportedError, match="deleted as a whole"):
            store.forget(session="new")
    done = CliRunner().invoke(main, ["forget", "--store", f"{url}?{window}", "--session", "new"])
    assert "deleted as a whole" in done.output


def test_what_was_copied_before_is_not_exported_with_a_window(tmp_path):
    url = with_old_and_new(tmp_path)
    export = ["export", "--to", "parquet", "--store"]
    for window, options, number in (
        ("", (), 12),
        ("?since=2026-05-01", (), 6),
        ("?since=2026-05-01", ("--user", "ada"), 6),
        ("?until=2026-05-01", ("--user", "ada"), 3),
        ("?since=2026-05-01", ("--session", "both"), 3),
    ):
        file = tmp_path / "out.parquet"
        done = CliRunner().invoke(main, [*export, f"{url}{window}", *options, str(file)])
        assert done.exit_code == 0, done.output
        assert duckdb.sql(f"SELECT count(*) FROM '{file}'").fetchall() == [(number,)]


def test_what_was_copied_before_is_not_evaluated_with_a_window(tmp_path, monkeypatch):
    (tmp_path / "judged.py").write_text(
        "from clew.evaluations import evaluator\n\n\n"
        "@evaluator\n"
        "def short(session):\n"
        "    return len(session.turns) < 9\n"
    )
    url = with_old_and_new(tmp_path)
    for window, number in (("?until=2026-05-01", 2), ("", 1)):
        command = ["evaluate", "--json", "--quiet", "0s", "--store", f"{url}{window}"]
        if window:
            exported = ["export", "--to", "jsonl", "--store", url, str(tmp_path / "all.jsonl")]
            assert CliRunner().invoke(main, exported).exit_code == 0
        done = CliRunner().invoke(main, [*command, f"{tmp_path}/judged.py:short"])
        assert done.exit_code == 0, done.output
        assert f'"made": {number}' in done.stdout


def test_a_time_that_is_none_is_an_error(tmp_path):
    url = duckdb_support.fill(turn("new"), tmp_path)
    with pytest.raises(EngineError, match="since='soon' is no time"):
        sessions.open(f"{url}?since=soon")
