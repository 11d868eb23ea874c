"""With ``--answers-table FILE`` it is written there what was asked of the engine."""

import os

from tests.release.engines.answers_table import ANSWERS, write

NAMES = {
    "clickhouse": "ClickHouse (chdb)",
    "duckdb": "DuckDB, Parquet",
    "spark": "Sail (Spark Connect), Parquet",
}
_COUNTED = "answers"


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # Of pytest-xdist: its parent adds them up.
        session.config.workeroutput[_COUNTED] = ANSWERS.counts()
        return
    file = session.config.getoption("--answers-table")
    if file and ANSWERS.asked:
        write(file, NAMES[os.environ["ENGINE"]], ANSWERS.column())


class _Workers:
    """Adds up what the workers of pytest-xdist have asked."""

    def pytest_testnodedown(self, node):
        ANSWERS.add_counts(getattr(node, "workeroutput", {}).get(_COUNTED, {}))


def pytest_configure(config):
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(_Workers())
