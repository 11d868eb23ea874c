"""``clew export`` to places that cannot, or should not, be written."""

import os
import stat
from contextlib import closing

import pytest
from click.testing import CliRunner

from clew.cli import main
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import turn


@pytest.fixture
def export(tmp_path, monkeypatch):
    """Run ``clew export`` on a store of three spans, and return what it said."""
    store = tmp_path / "s.db"
    with closing(connect(store, create=True)) as connection:
        Writer(connection).add(turn())
    monkeypatch.chdir(tmp_path)

    def run(*arguments, status=1):
        done = CliRunner().invoke(main, ["export", "--store", str(store), "--to", *arguments])
        assert done.exit_code == status, done.output
        return done.output

    return run


@pytest.fixture
def parquet():
    return pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")


def test_a_table_replaces_only_another_one(export, parquet, tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    assert "precious.txt is there already, is no Parquet" in export("parquet", str(precious))
    assert precious.read_text() == "precious"
    table = tmp_path / "spans.parquet"
    table.touch()  # As mktemp leaves it.
    for _ in range(2):
        assert "Exported 3 spans" in export("parquet", str(table), status=0)
    assert parquet.read_table(table).num_rows == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_replaced_by_a_table(export, parquet, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is no regular file" in export("parquet", str(pipe))
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_of_a_link_the_table_that_it_names_is_replaced(export, parquet, tmp_path):
    link, table = tmp_path / "link.parquet", tmp_path / "elsewhere" / "spans.parquet"
    table.parent.mkdir()
    link.symlink_to(table)
    for _ in range(2):  # First there is nothing at its end.
        export("parquet", str(link), status=0)
        assert link.is_symlink()
        assert parquet.read_table(table).num_rows == 3
    assert list(table.parent.iterdir()) == [table]


@pytest.mark.parametrize(
    ("to", "place"),
    [
        ("jsonl", "nowhere/spans.jsonl"),
        ("parquet", "nowhere/spans.parquet"),
        ("parquet", "s.db/lake/"),
    ],
)
def test_a_place_that_is_not_there_is_named(to, place, export, request):
    if to == "parquet":
        request.getfixturevalue("parquet")
    said = export(to, place)
    assert said.startswith(f"Error: {place.rstrip('/')} cannot be written: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("value", ["Bearer 日本", "Bearer é", "one\ntwo"])
@pytest.mark.parametrize("to", ["otlp", "phoenix"])
def test_a_header_that_cannot_be_sent_is_refused_and_not_shown(to, value, export):
    header = f"authorization={value}"
    said = export(to, "--endpoint", "http://127.0.0.1:9", "--header", header, status=2)
    assert "characters of ASCII" in said
    assert value not in said
