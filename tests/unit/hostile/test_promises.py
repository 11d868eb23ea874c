"""What SECURITY.md claims, where no other test holds it; and that all it refers to is there."""

import re
import stat
from contextlib import closing, suppress
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given

from clew.cli import _terminal
from clew.core.errors import ConfigurationError
from clew.sessions.store import SessionNotFoundError, SessionStore
from clew.store.database import StoreError, connect
from clew.store.writer import Writer
from tests.support.conversation_spans import turn
from tests.unit.hostile.inputs import TEXTS, texts

ROOT = Path(__file__).parents[3]
SECURITY = (ROOT / "SECURITY.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in SECURITY.splitlines()
    if line.startswith("| ") and not line.startswith("| Claim")
]


def test_there_are_claims():
    assert len(ROWS) > 25
    assert all(len(row) == 3 for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2].strip("`"))
def test_a_claim_names_a_module_and_a_test_that_exist(row):
    _, module, test = (cell.strip("`") for cell in row)
    assert module == "all" or (ROOT / "src" / "clew" / module).is_file()
    file, _, name = test.partition("::")
    source = (ROOT / "tests" / file).read_text()
    assert not name or re.search(rf"^(async )?def {name}\(", source, re.MULTILINE)


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)]+)\)", SECURITY))
def test_links_lead_somewhere(target):
    assert (ROOT / target).is_file()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "kept" / "sessions.db"
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(turn())
    return path


def test_only_its_owner_may_read_the_store(path):
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(turn("chat-43"))
        files = [file for file in path.parent.iterdir() if file.name != ".gitignore"]
        assert path in files
        for file in (path.parent, *files):
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM span",
        "UPDATE session SET user_id = 'x'",
        "DROP TABLE span",
        "CREATE TABLE x (y)",
        "ATTACH DATABASE 'other.db' AS other",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode = DELETE",
        "SELECT load_extension('x')",
        "SELECT writefile('x', 'y')",
        "VACUUM INTO 'copy.db'",
        "INSERT INTO span SELECT * FROM span",
        "SELECT 1; DELETE FROM span",
        "WITH x AS (SELECT 1) DELETE FROM span",
        "REINDEX",
    ],
)
def test_a_query_only_reads(path, query, monkeypatch):
    monkeypatch.chdir(path.parent)
    with SessionStore(path) as store:
        before = store.sql("SELECT count(*) AS number FROM spans")[0]["number"]
        files = {file.name for file in path.parent.iterdir()}
        with pytest.raises(StoreError):
            store.sql(query)
        assert store.sql("SELECT count(*) AS number FROM spans")[0]["number"] == before > 0
        assert {file.name for file in path.parent.iterdir()} == files


def test_a_text_is_never_part_of_a_query(path):
    with SessionStore(path) as store:
        for text in TEXTS:
            for asked in ({"user": text}, {"tag": text}, {"metadata": {text or "x": text}}):
                with suppress(ConfigurationError):
                    assert store.list(**asked) == []
            with pytest.raises(SessionNotFoundError):
                store.get(text)
        assert [it.id for it in store.list()] == ["chat-42"]


def test_a_name_that_cannot_be_encoded_is_an_error_that_says_so(path):
    """Such as bytes on the command line that are no UTF-8; they ended in a traceback."""
    with SessionStore(path) as store:
        assert store.list(text="\udcff") == []  # It has no words.
        for asked in ({"user": "\udcff"}, {"metadata": {"a": "\udcff"}}):
            with pytest.raises(ConfigurationError, match="cannot be encoded"):
                store.list(**asked)
        for asked in ({"user": "\udcff"}, {"session": "\udcff"}):
            with pytest.raises(ConfigurationError, match="cannot be encoded"):
                store.forget(**asked)
        with pytest.raises(StoreError, match="cannot be answered"):
            store.sql("SELECT ?", ["\udcff"])


@given(texts)
def test_a_terminal_obeys_nothing_that_was_said(text):
    shown = _terminal.safe(text)
    assert {category(it) for it in shown if it != "\n"} & {"Cc", "Cs", "Zl", "Zp"} == set()
    assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f") & set(
        shown
    )
    assert "\n" not in _terminal.line(text)


def test_no_csv_is_written():
    for path in (ROOT / "src" / "clew").rglob("*.py"):
        source = path.read_text()
        assert "csv.writer" not in source, path
        assert "DictWriter" not in source, path
        assert "to_csv" not in source, path
