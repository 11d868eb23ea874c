"""With ``--answers-table FILE`` it is written there what was asked of the engine."""

import os

from tests.release.engines.answers_table import ANSWERS, write

NAMES = {
    "clickhouse": "ClickHouse (chdb)",
    "duckdb": "DuckDB, Parquet",
    "spark": "Sail (Spark Connect), Parquet",
}


def pytest_sessionfinish(session):
    file = session.config.getoption("--answers-table")
    if file and ANSWERS.asked:
        write(file, NAMES[os.environ["ENGINE"]], ANSWERS.column())
