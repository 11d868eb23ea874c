"""A table is given to the library that the caller works with, with the same values."""

import json
import subprocess
import sys

import pytest

from clew.sessions.table import MissingLibraryError, Table

ROWS = [("s1", 3, 0.5, None), ("s2", None, None, None), ("s3", 2**62, 1e-9, "a")]
TABLE = Table(["session_id", "tokens", "cost", "note"], ROWS)
EMPTY = Table(["session_id", "tokens"], [])


def test_rows_are_dictionaries():
    assert TABLE[0] == {"session_id": "s1", "tokens": 3, "cost": 0.5, "note": None}
    assert TABLE[-1]["note"] == "a"
    assert next(iter(TABLE[1:]))["session_id"] == "s2"
    assert len(TABLE) == len(list(TABLE)) == 3
    assert json.loads(TABLE.to_json()) == list(TABLE)
    assert repr(TABLE) == "<Table of 3 rows: session_id, tokens, cost, note>"


def test_columns_of_an_empty_table():
    assert EMPTY.to_columns() == {"session_id": [], "tokens": []}


@pytest.mark.parametrize("table", [TABLE, EMPTY])
def test_pandas(table):
    pandas = pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert list(frame.columns) == list(table.columns)
    rows = frame.astype(object).where(pandas.notna(frame), None).to_dict("records")
    # A column of whole numbers with gaps is one of floats there.
    assert rows == list(table)


@pytest.mark.parametrize("table", [TABLE, EMPTY])
def test_polars(table):
    pytest.importorskip("polars")
    frame = table.to_polars()
    assert tuple(frame.columns) == table.columns
    assert frame.to_dicts() == list(table)


@pytest.mark.parametrize("table", [TABLE, EMPTY])
def test_arrow(table):
    pytest.importorskip("pyarrow")
    arrow = table.to_arrow()
    assert tuple(arrow.column_names) == table.columns
    assert arrow.to_pylist() == list(table)


def test_columns_of_several_types(shop):
    """SQLite has such, and no value may be lost."""
    query = "SELECT 1 AS any, 1 AS number UNION ALL SELECT 'text', 0.5 UNION ALL SELECT NULL, NULL"
    mixed = shop.sql(query)
    expected = {"any": ["1", "text", None], "number": [1.0, 0.5, None]}
    pytest.importorskip("polars")
    assert mixed.to_polars().to_dict(as_series=False) == expected
    pytest.importorskip("pyarrow")
    assert mixed.to_arrow().to_pydict() == expected
    pytest.importorskip("pandas")
    assert list(mixed.to_pandas()["any"])[:2] == [1, "text"]


@pytest.mark.parametrize("question", ["users", "totals", "days", "errors"])
def test_answers_can_be_converted(shop, question):
    table = shop.ask(question)
    for library in ("pandas", "polars", "arrow"):
        pytest.importorskip("pyarrow" if library == "arrow" else library)
        assert len(getattr(table, f"to_{library}")()) == len(table)


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow"])
def test_a_missing_library_is_named(library, monkeypatch):
    name = "pyarrow" if library == "arrow" else library
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingLibraryError, match=f"{name} is not installed; .* install {name}"):
        getattr(TABLE, f"to_{library}")()


def test_no_library_is_imported_before_it_is_asked_for():
    code = (
        "import sys, clew.sessions.table, clew.sessions.store\n"
        "assert not {'pandas', 'polars', 'pyarrow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
