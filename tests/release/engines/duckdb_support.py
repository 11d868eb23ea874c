"""Spans in Parquet files, as ``clew export`` writes them."""

from pathlib import Path

from click.testing import CliRunner

from clew.cli.export import command
from clew.store.database import connect
from clew.store.writer import Writer

KEEPS_TABLES = False
SPLITS = False
"""Whether clew's tables are elsewhere than the spans."""


def more(records, url, folder):
    """Put *records* into one more file."""
    assert fill(records, folder) == url


def fill(records, folder: Path) -> str:
    """Put *records* where the engine reads them; return the URL of the store."""
    folder.mkdir(exist_ok=True)
    store = folder / f"exported-{len(list(folder.iterdir()))}.db"
    connection = connect(store, create=True)
    try:
        Writer(connection).add(records)
    finally:
        connection.close()
    lake = folder / "lake"
    lake.mkdir(exist_ok=True)
    part = lake / f"part-{len(list(lake.iterdir()))}.parquet"
    done = CliRunner().invoke(command, ["--store", str(store), "--to", "parquet", str(part)])
    assert done.exit_code == 0, done.output
    return f"parquet:{lake}"
