"""The table of docs/engines.md keeps the columns of the engines that were not asked."""

import pytest

from tests.release.engines.answers_table import BEGIN, END, AnswersTable, write
from tests.support.same_answers import Compared


def test_each_engine_writes_its_own_column(tmp_path):
    path = tmp_path / "engines.md"
    path.write_text(f"before\n{BEGIN}{END}after\n")
    table = AnswersTable()
    for lines in ([], [], ["a difference"]):
        table.add(Compared("question `days`", lines))
    write(path, "One", table.column())
    write(path, "Other", {"question `days`": "0 of 7", "view `spans`": "0 of 1"})
    write(path, "One", {"question `days`": "0 of 9"})
    assert path.read_text() == (
        f"before\n{BEGIN}"
        "| different answers | One | Other |\n"
        "|---|---|---|\n"
        "| question `days` | 0 of 9 | 0 of 7 |\n"
        "| view `spans` |  | 0 of 1 |\n"
        f"{END}after\n"
    )
    assert table.column() == {"question `days`": "1 of 3"}


def test_a_file_without_a_table_is_an_error(tmp_path):
    path = tmp_path / "engines.md"
    path.write_text("nothing\n")
    with pytest.raises(AssertionError, match="has no table"):
        write(path, "One", {})
