"""After a store was restored from a copy, spans are not taken for those that had their numbers."""

from contextlib import closing
from shutil import copyfile

import pytest

from clew.cli.export import runs
from clew.cli.export.errors import ExportError
from clew.cli.export.result import Source
from clew.cli.export.selection import all_spans
from clew.evaluations.stored import evaluations_to_export
from clew.store.database import connect
from clew.store.otlp import from_json
from clew.store.writer import Writer
from tests.support.conversation_spans import turn


def _key(span):
    return span.trace_id, span.span_id


class Target:
    """An endpoint, and a table, that keeps what it is given."""

    name = "there"

    def __init__(self):
        self.keys = []

    def send(self, records, outcome):
        self.keys += map(_key, records)
        outcome.accepted += len(records)
        return []

    def add(self, records):
        new = set(map(_key, records)) - set(self.keys)
        self.keys += new
        return len(new)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.db"


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def add(path, *sessions):
    with closing(connect(path, create=True)) as connection:
        for session in sessions:
            Writer(connection).add(turn(session, number=sum(map(ord, session))))


def sql(path, statement):
    with closing(connect(path)) as connection:
        connection.execute(statement)


def source(path):
    connection = connect(path, read_only=True)
    ids = all_spans(connection), evaluations_to_export(connection, chosen=False)
    return closing(connection), Source(connection, *ids)


def exported(path, run, *arguments):
    opened, given = source(path)
    with opened:
        return run(given, *arguments)


@pytest.fixture(params=[("b",), ("b", "c"), ("b", "c", "d")], ids=["fewer", "as many", "more"])
def restored(request, path, tmp_path):
    """Restore the store of "a" after "b" and "c" were exported, and add other spans."""

    def restore(export):
        add(path, "a")
        copyfile(path, tmp_path / "copy.db")
        add(path, "lost 1", "lost 2")
        assert export().exported == 9
        path.unlink()
        copyfile(tmp_path / "copy.db", path)
        add(path, *request.param)
        return 3 * len(request.param)

    return restore


def test_an_endpoint_is_sent_everything_again_and_that_is_said(restored, path, state):
    target = Target()

    def export():
        return exported(path, runs.to_otlp, target, state)

    new = restored(export)
    result = export()
    assert (result.exported, result.already) == (3 + new, 0)
    assert "restored" in result.note
    assert len(set(target.keys)) == 9 + new
    add(path, "later")
    result = export()
    assert (result.exported, result.already, result.note) == (3, 3 + new, "")


def test_a_table_gets_what_it_lacks(restored, path, state):
    target = Target()

    def export():
        return exported(path, runs.to_clickhouse, target, state)

    new = restored(export)
    result = export()
    assert (result.exported, result.already) == (new, 3)


@pytest.mark.parametrize("kind", ["jsonl", "lake"])
def test_a_file_or_folder_is_left_as_it_is(kind, restored, path, state, tmp_path):
    if kind == "lake":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    run = {"jsonl": runs.to_json_lines, "lake": runs.to_lake}[kind]
    place = tmp_path / "place"

    def export(place=place):
        return exported(path, run, place, state)

    new = restored(export)
    before = {it: it.read_bytes() for it in tmp_path.rglob("place*/*.parquet")}
    for _ in range(2):  # Being refused changes nothing of what is noted.
        with pytest.raises(ExportError, match="restored from a copy"):
            export()
    assert {it: it.read_bytes() for it in tmp_path.rglob("place*/*.parquet")} == before
    assert export(tmp_path / "other").exported == 3 + new
    if kind == "jsonl":
        place.unlink()
        assert export().exported == 3 + new


def test_what_was_deleted_is_not_taken_for_a_restored_copy(path, state, tmp_path):
    file = tmp_path / "spans.jsonl"
    add(path, "a", "b")
    assert exported(path, runs.to_json_lines, file, state).exported == 6
    sql(path, "DELETE FROM span WHERE session_id = 'b'")
    assert exported(path, runs.to_json_lines, file, state).already == 3
    add(path, "c")
    assert exported(path, runs.to_json_lines, file, state).exported == 3
    lines = file.read_text().splitlines()
    assert [len(from_json(it)) for it in lines] == [6, 3]


def test_an_evaluation_that_has_the_number_of_a_lost_one_is_sent(path, state):
    insert = (
        "INSERT INTO evaluation (session_id, name, annotator_kind, identifier, score, metadata, "
        "made_ns) VALUES ('a', '{}', 'CODE', '', 1, '{{}}', {})"
    )
    target = Target()
    add(path, "a")
    sql(path, insert.format("polite", 1))
    assert exported(path, runs.to_otlp, target, state).exported == 4
    sql(path, "DELETE FROM evaluation")
    sql(path, "DELETE FROM sqlite_sequence WHERE name = 'evaluation'")
    assert exported(path, runs.to_otlp, target, state).note
    sql(path, insert.format("kind", 2))
    result = exported(path, runs.to_otlp, target, state)
    assert (result.exported, result.note) == (1, "")
