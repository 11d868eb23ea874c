"""``clew export --to parquet FOLDER/``: each span in one file of its day, whatever happens."""

import subprocess
import sys
from collections import Counter

import pytest

from clew import evaluations
from clew.evaluations import Evaluation
from clew.sessions import SessionStore
from tests.support.conversation_spans import SECOND, START, turn

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
from pyarrow import parquet

DAY = 86_400 * SECOND
KILLED = """
import os, signal, sys
from clew.cli import main
from clew.cli.export import lake

when, place = sys.argv[1:]
replace, calls = lake.replace, []

def killed(new, path):
    calls.append(path)
    if len(calls) == 2 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(new, path)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

lake.replace = killed
main(["export", "--to", "parquet", place])
"""


@pytest.fixture
def days(write):
    """A session on each of three days."""
    write(*(turn(f"s{number}", start=START + number * DAY, number=number) for number in range(3)))


def rows(place):
    """Return the rows, without nanoseconds, which Python's times do not have."""
    table = parquet.read_table(place)
    for name in ("start", "end"):
        times = table[name].cast(pyarrow.timestamp("us", "UTC"), safe=False)
        table = table.set_column(table.schema.get_field_index(name), name, times)
    return table.to_pylist()


def keys(folder):
    return Counter((row["trace_id"], row["span_id"]) for row in rows(folder))


def files(folder):
    return {str(it.relative_to(folder)): it.read_bytes() for it in folder.rglob("*.parquet")}


def test_a_file_for_each_day(clew, days, tmp_path):
    assert "Exported 9 spans" in clew("export", "--to", "parquet", f"{tmp_path}/lake/").stdout
    lake = tmp_path / "lake"
    dates = ["day=2026-05-28", "day=2026-05-29", "day=2026-05-30"]
    assert sorted(it.name for it in lake.iterdir()) == dates
    for folder in lake.iterdir():
        (file,) = folder.iterdir()
        assert "day" not in parquet.ParquetFile(file).schema_arrow.names
        assert {f"day={row['start'].date()}" for row in rows(file)} == {folder.name}
    assert sorted({str(row["day"]) for row in rows(lake)}) == [it[4:] for it in dates]


def test_within_a_day_rows_are_ordered_by_session(clew, filled, tmp_path):
    clew("export", "--to", "parquet", f"{tmp_path}/lake/")
    found = [row["session_id"] for row in rows(tmp_path / "lake")]
    assert found == sorted(found)
    assert len(set(found)) == 3


def test_later_only_what_is_new_is_added(clew, days, write, tmp_path):
    lake = tmp_path / "lake"
    lake.mkdir()
    clew("export", "--to", "parquet", lake, "--session", "s1")
    before = files(lake)
    assert "Exported 6 spans" in clew("export", "--to", "parquet", lake).stdout
    write(turn("late", start=START + DAY + SECOND))
    done = clew("export", "--to", "parquet", lake).stdout
    assert "Exported 3 spans" in done
    assert "it had 9 spans already" in done
    assert "Exported 0 spans" in clew("export", "--to", "parquet", lake).stdout
    after = files(lake)
    assert len(after) == 4
    assert before.items() <= after.items()
    assert set(keys(lake).values()) == {1}
    assert len(keys(lake)) == 12


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_export_goes_on(when, clew, days, write, environment, tmp_path):
    lake = tmp_path / "lake"
    arguments = [sys.executable, "-c", KILLED, when, f"{lake}/"]
    killed = subprocess.run(arguments, env=environment, check=False, timeout=120)
    assert killed.returncode == -9
    complete = 1 if when == "before" else 2
    assert len(files(lake)) == complete
    # With what has come meanwhile, the second day would be another file.
    write(turn("late", start=START + DAY + SECOND))
    done = clew("export", "--to", "parquet", lake).stdout
    assert f"Exported {12 - 3 * complete} spans" in done
    assert len(keys(lake)) == 12
    assert set(keys(lake).values()) == {1}
    assert not [it for it in lake.rglob("*") if it.name.endswith(".partial")]


def test_evaluations_go_along_once(clew, days, path, tmp_path):
    lake = f"{tmp_path}/lake/"
    with SessionStore(path) as store:
        store.catch_up()
        evaluations.add(store, Evaluation("polite", label="yes", session_id="s0"))
        assert "Exported 10 spans" in clew("export", "--to", "parquet", lake).stdout
        evaluations.add(store, Evaluation("polite", label="no", session_id="s0"))
    assert "Exported 1 span" in clew("export", "--to", "parquet", lake).stdout
    carriers = [row for row in rows(lake) if row["kind"] == "EVALUATOR"]
    assert [row["name"] for row in carriers] == ["evaluation polite"] * 2
    assert {str(row["day"]) for row in carriers} == {str(row["start"].date()) for row in carriers}


def test_without_what_was_noted_nothing_is_written_twice(clew, days, tmp_path):
    lake = f"{tmp_path}/lake/"
    clew("export", "--to", "parquet", lake)
    done = clew("export", "--to", "parquet", lake, "--state", tmp_path / "other", status=1)
    assert "has files of this store already" in done.stderr
    assert set(keys(lake).values()) == {1}


def test_only_parquet_has_folders(clew, days, tmp_path):
    assert "is a folder" in clew("export", "--to", "jsonl", tmp_path, status=2).stderr
