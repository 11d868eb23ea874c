"""Spark for the tests: Sail, in this process; spans in Parquet files of ``clew export``."""

import os
from functools import cache

import pytest

from tests.release.engines import duckdb_support

SPLITS = True
"""Whether clew's tables are elsewhere than the spans."""
skip = pytest.mark.skipif(os.environ.get("ENGINE") != "spark", reason="ENGINE=spark is not set")


def fill(records, folder):
    """Put *records* where the engine reads them; return the URL of the store."""
    lake = duckdb_support.fill(records, folder).partition(":")[2]
    return f"{server()}/?path={lake}"


def more(records, url, folder):
    """Put *records* into one more file."""
    assert fill(records, folder) == url


@cache
def server():
    """Return the address of a Sail server in this process, which ends with it."""
    from pysail.spark import SparkConnectServer

    started = SparkConnectServer("127.0.0.1", 0)
    started.start(background=True)
    host, port = started.listening_address
    _SERVERS.append(started)
    return f"sc://{host}:{port}"


_SERVERS = []
