"""Ctrl-C while a command waits for an engine: the question ends there, and one line is printed."""

import os
import pty
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.release.engines import spark_support
from tests.release.engines.evaluated_engine import ENGINE, filled
from tests.support.clickhouse_server import running
from tests.support.generated_stores import generated_store

pytestmark = pytest.mark.timeout(300)
MANY = 10**13
MANY_FILES = 8_000
KINDS = {"clickhouse": ["chdb", "http"], "duckdb": ["duckdb"], "spark": ["sail"]}
_ROOT = Path(__file__).parents[3]


@pytest.fixture(params=KINDS.get(ENGINE, []))
def slow(request, tmp_path):
    """Yield the URL of a store whose spans take days to read, or minutes."""
    spans = generated_store(1, sessions=1)[0]
    if request.param == "sail":
        yield with_many_files(spark_support.fill(spans, tmp_path))
        return
    url = filled(spans, tmp_path)
    if request.param == "duckdb":
        import duckdb

        with closing(duckdb.connect(url.partition(":")[2])) as connection:
            connection.execute(
                f"CREATE VIEW slow AS SELECT s.* FROM spans s, range({MANY}) AS many"
            )
        yield f"{url}?table=slow"
        return
    from clew.sessions.engines.clickhouse_engine import open_engine

    with closing(open_engine(url)) as engine:
        engine.execute(
            f"CREATE VIEW slow AS SELECT s.* FROM otel_traces AS s, numbers({MANY}) AS many"
        )
    if request.param == "chdb":
        yield f"{url}?table=slow"
        return
    with running(url.partition(":")[2]) as port:
        yield f"clickhouse://writer:s3cret%2Fof%40writers@127.0.0.1:{port}/default?table=slow"


def with_many_files(url):
    """Have the only file of a lake there many times, which costs no space."""
    (file,) = Path(url.partition("path=")[2]).rglob("*.parquet")
    for number in range(MANY_FILES):
        file.with_name(f"again-{number}.parquet").hardlink_to(file)
    return url


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("command", [["sessions"], ["export"]], ids=lambda it: it[0])
def test_ctrl_c_ends_a_slow_question_on_the_engine(slow, command, tmp_path):
    said, process = started([*command, "--store", slow], tmp_path)
    with closing(said):
        try:
            lines = [said.readline()]
            assert " is at work:" in lines[0], lines
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 128 + signal.SIGINT
            lines += rest(said)
        finally:
            process.kill()
            process.wait()
    assert lines[-1].startswith("Cancelled"), lines
    assert all(" is at work:" in it for it in lines[:-1]), lines
    assert "s3cret" not in "".join(lines)
    if slow.startswith("clickhouse:"):
        assert not still_asked(slow)


def started(arguments, folder):
    """Start a command whose standard error is a terminal; return what reads that, and it."""
    own, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "clew", *arguments],
        env={**os.environ, "CLEW_STORE": str(folder / "sessions.db"), "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=its,
        cwd=folder,
    )
    os.close(its)
    return os.fdopen(own, encoding="utf-8"), process


def rest(terminal):
    """Return the lines that are left; a terminal that nobody has open any more is an error."""
    lines = []
    try:
        while line := terminal.readline():
            lines.append(line)
    except OSError:
        pass
    return lines


def still_asked(url):
    """Return the queries that the server is still at work on."""
    from clew.sessions.engines.clickhouse_engine import open_engine

    with closing(open_engine(url)) as engine:
        sql = (
            "SELECT query FROM system.processes WHERE query LIKE '%numbers%' OR query LIKE '%slow%'"
        )
        return [it for (it,) in engine.query(sql).rows if "system.processes" not in it]
