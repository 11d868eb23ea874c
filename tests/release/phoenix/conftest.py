"""A store, and a real Phoenix that was sent it; what the side-by-side test measured is shown."""

import os
import time
from pathlib import Path

import pytest

from clew.store.database import connect
from clew.store.writer import Writer
from tests.release.phoenix.table import TABLE
from tests.support.conversations import Conversations
from tests.support.phoenix_server import phoenix
from tests.support.shop_conversations import shop_sessions

SEED = 112
"""One of its sessions is worse than all others, and the most expensive user is the same by clew's
prices and by Phoenix's. That user does not have the most expensive session."""
HOUR = 3600
PATIENCE = 600
"""Seconds until Phoenix has stored what it was sent."""
COUNT = "{ projects { edges { node { recordCount } } } }"


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Conversations of the last day: Phoenix's pages show those of a week, unless told not to."""
    path = tmp_path_factory.mktemp("store") / "sessions.db"
    now = int(time.time())
    connection = connect(path, create=True)
    writer = Writer(connection)
    for session in Conversations(SEED, users=30, start=now - 4 * HOUR).sessions(100):
        writer.add(session)
    for session in shop_sessions((now - 20 * HOUR) * 10**9):
        writer.add(session)
    connection.close()
    return path


@pytest.fixture(scope="session")
def running(store, tmp_path_factory):
    """A Phoenix that has stored every span of the store."""
    if not (command := os.environ.get("PHOENIX")):
        pytest.skip("nox -s phoenix runs this")
    with phoenix(Path(command), tmp_path_factory.mktemp("phoenix")) as running:
        number, until = running.send(store), time.monotonic() + PATIENCE
        while (
            sum(it["node"]["recordCount"] for it in running.ask(COUNT)["projects"]["edges"])
            < number
        ):
            assert time.monotonic() < until, "Phoenix has not stored what it was sent"
            time.sleep(0.2)
        yield running


def pytest_terminal_summary(terminalreporter, config):
    if not TABLE.rows:
        return
    terminalreporter.section("beside Phoenix")
    for line in TABLE.lines():
        terminalreporter.write_line(line)
    if file := config.getoption("--phoenix-table"):
        if TABLE.is_complete():
            TABLE.write(Path(file))
        else:
            terminalreporter.write_line(f"{file} is not written: not all questions were answered")
