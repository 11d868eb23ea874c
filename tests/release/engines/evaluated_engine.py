"""An engine with spans in it and clew's tables, for tests of what evaluators do there."""

import os
from contextlib import closing
from importlib import import_module
from pathlib import Path

from click.testing import CliRunner

from clew.cli import main

ENGINE = os.environ.get("ENGINE", "")


def filled(records, folder):
    """Put *records* on an engine that can keep clew's tables; return its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    support = import_module(f"tests.release.engines.{ENGINE}_support")
    if ENGINE == "clickhouse":
        return support.fill(records, folder / "clickhouse")
    lake = support.fill(records, folder).partition(":")[2]
    import duckdb

    path = folder / "own.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE spans AS SELECT * FROM '{lake}/*.parquet'")
    return f"duckdb:{path}"


def more(records, url, folder):
    """Put *records* where there are some already."""
    support = import_module(f"tests.release.engines.{ENGINE}_support")
    if ENGINE == "clickhouse":
        support.more(records, url, folder)
        return
    lake = support.fill(records, folder / "more").partition(":")[2]
    import duckdb

    with closing(duckdb.connect(url.partition(":")[2])) as connection:
        connection.execute(f"INSERT INTO spans BY NAME SELECT * FROM '{lake}/*.parquet'")


def run(*arguments):
    """Run a command, which has to succeed; return what it prints."""
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def with_tables(records, folder):
    """Put *records* on an engine, and make clew's tables there; return its URL."""
    url = filled(records, folder)
    run("engines", "init", "--store", url)
    return url


def evals_file():
    """Write an evaluator of sessions into a file for the command; return what names it."""
    path = Path(os.environ["CLEW_STORE"]).parent / "evals.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "from clew.evaluations import evaluator\n\n"
        "@evaluator(version='1')\ndef turns(session):\n    return len(session.turns)\n"
    )
    return f"{path}:turns"
