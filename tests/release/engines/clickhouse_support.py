"""ClickHouse for the tests: inside this process, and over HTTP behind a server of the tests'."""

import os
from contextlib import closing, contextmanager

import pytest

from clew.sessions.engines.clickhouse_engine import open_engine
from tests.support.clickhouse_server import running
from tests.support.collector_tables import FORMS, row_in

skip = pytest.mark.skipif(
    os.environ.get("ENGINE") != "clickhouse", reason="ENGINE=clickhouse is not set"
)
KEEPS_TABLES = True
WAYS = ("chdb", "http")
SPLITS = True
"""Whether clew's tables are elsewhere than the spans, unless they are made there."""


def fill(records, folder, form="map"):
    """Store *records* as the Collector would, in a new chdb in *folder*; return its URL."""
    url = f"chdb:{folder}"
    fill_at(url, records, form)
    return url


def more(records, url, _):
    """Store *records* in a ClickHouse that has some already."""
    with closing(open_engine(url)) as engine:
        engine.insert_spans([row_in("map", it) for it in records])


def fill_at(url, records, form="map"):
    """Store *records* as the Collector would, in a new table of the ClickHouse at *url*."""
    with closing(open_engine(url)) as engine:
        engine.execute(FORMS[form])
        engine.insert_spans([row_in(form, it) for it in records])


@contextmanager
def place(way, folder):
    """Yield the URL of a ClickHouse without tables, which is there until the block ends."""
    if way == "chdb":
        yield f"chdb:{folder}"
        return
    with running(folder) as port:
        yield f"clickhouse://writer:s3cret%2Fof%40writers@127.0.0.1:{port}/default"
