"""Ctrl-C ends a command with the status that shells give, wherever it comes."""

from unittest.mock import Mock

import click
import pytest
from click.testing import CliRunner

from clew.cli import main, sessions
from clew.store.database import connect


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "spans.db"
    connect(path, create=True).close()
    return path


@pytest.mark.parametrize("where", ["at work", "at a question"])
def test_a_command_ends_with_130(monkeypatch, capsys, store, where):
    interrupt = Mock(side_effect=KeyboardInterrupt)
    if where == "at a question":
        monkeypatch.setattr("click.termui.visible_prompt_func", interrupt)
        interrupt = Mock(side_effect=lambda *_: click.confirm("Really?"))
    monkeypatch.setattr(sessions, "open_store", interrupt)
    with pytest.raises(SystemExit) as ended:
        main(["sessions", "--store", str(store)])
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip().endswith("Aborted!")


def test_a_question_that_is_not_answered_ends_with_1(monkeypatch, store):
    monkeypatch.setattr(sessions, "open_store", lambda *_: click.confirm("Really?"))
    assert CliRunner().invoke(main, ["sessions", "--store", str(store)], input="").exit_code == 1
