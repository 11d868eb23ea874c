"""docs/sessions.md lists the columns of every view, and the commands that there are."""

import re
from contextlib import closing
from pathlib import Path

import click
import pytest

from clew.cli import main
from clew.sessions.store import SessionStore
from clew.store.database import connect

PAGE = (Path(__file__).parents[3] / "docs" / "sessions.md").read_text()
VIEWS = ["spans", "turns", "sessions", "user_sessions", "evaluations", "evaluation_history"]


def described(view):
    section = re.split(r"^##", PAGE.partition(f"### `{view}`\n")[2], flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "sessions.db"
    with closing(connect(path, create=True)):
        pass
    with SessionStore(path) as store:
        yield store


@pytest.mark.parametrize("view", VIEWS)
def test_the_columns_of_the_views(store, view):
    columns = store.sql("SELECT * FROM " + view).columns
    assert sorted(described(view)) == sorted(columns)


def test_every_view_is_described(store):
    found = store._connection.execute("SELECT name FROM temp.sqlite_master WHERE type = 'view'")
    assert {name for (name,) in found} == set(re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE))


def test_the_commands_that_are_named_exist():
    named = set(re.findall(r"^\| `clew (\w+)", PAGE, re.MULTILINE))
    others = {"doctor", "run", "settings"}
    assert named | others == set(main.list_commands(click.Context(main)))
