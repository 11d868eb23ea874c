"""Every question has the same answer on an engine as on the SQLite store, over generated stores."""

import os
from contextlib import closing
from importlib import import_module

import pytest

from clew import sessions
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.generated_stores import generated_store
from tests.support.same_answers import differences

ENGINE = os.environ.get("ENGINE")
STORES = int(os.environ.get("ENGINE_STORES", "6"))
if ENGINE is None:
    pytest.skip("run nox -s engines", allow_module_level=True)
SUPPORT = import_module(f"tests.release.engines.{ENGINE}_support")
pytestmark = pytest.mark.timeout(600)


def add(path, spans):
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(spans)


@pytest.mark.parametrize("seed", range(STORES))
def test_an_engine_answers_like_the_sqlite_store(seed, tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    first, late = generated_store(seed)
    add(tmp_path / "sessions.db", first)
    url = SUPPORT.fill(first, tmp_path)
    with sessions.open() as expected, sessions.open(url) as found:
        lines = differences(expected, found, splits=SUPPORT.SPLITS)
    assert not lines, "\n".join(lines[:20])
    # Late spans change turns and sessions that are summarised already.
    add(tmp_path / "sessions.db", late)
    SUPPORT.more(late, url, tmp_path)
    with sessions.open() as expected, sessions.open(url) as found:
        lines = differences(expected, found, splits=SUPPORT.SPLITS)
    assert not lines, "\n".join(lines[:20])
