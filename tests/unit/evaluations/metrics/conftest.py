"""A store that tests fill with sessions."""

import pytest

from clew import sessions
from tests.unit.evaluations.metrics.making import write


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """Write sessions, and return the opened store."""
    monkeypatch.chdir(tmp_path)  # Where there is no configuration.
    opened = []

    def filled(*given):
        path = tmp_path / "sessions.db"
        write(path, *given)
        opened.append(sessions.open(path))
        return opened[-1]

    yield filled
    for store in opened:
        store.close()
