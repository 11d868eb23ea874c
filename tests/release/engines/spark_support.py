"""Spark for the tests: Sail, or PySpark's own server; spans in Parquet files of ``clew export``."""

import os
import socket
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen, check_output
from threading import Thread

import pytest

from tests.release.engines import duckdb_support

KEEPS_TABLES = False
SPLITS = True
"""Whether clew's tables are elsewhere than the spans."""
skip = pytest.mark.skipif(os.environ.get("ENGINE") != "spark", reason="ENGINE=spark is not set")
PYSPARK = os.environ.get("PYSPARK")
"""A Python with the whole of pyspark and clew: its client cannot be in this environment, too."""
needs_pyspark = pytest.mark.skipif(
    not PYSPARK, reason="PYSPARK names no Python with pyspark and clew"
)
_SAIL = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
server.stop()
"""
_SERVERS = []
_STARTED = "Spark Connect server started at"


def fill(records, folder):
    """Put *records* where the engine reads them; return the URL of the store."""
    return f"{sail()}/?path={lake_of(records, folder)}"


def more(records, url, folder):
    """Put *records* into one more file."""
    assert fill(records, folder) == url


def lake_of(records, folder):
    """Return a folder of Parquet files with *records*."""
    return duckdb_support.fill(records, folder).partition(":")[2]


@cache
def sail():
    """Return the address of a Sail server, a process that ends with this one."""
    started = Popen([sys.executable, "-c", _SAIL], stdin=PIPE, stdout=PIPE, text=True)
    _SERVERS.append(started)  # It ends when its input does.
    return f"sc://127.0.0.1:{int(started.stdout.readline())}"


@contextmanager
def spark(master):
    """Yield the address of PySpark's own server, which ends with the block."""
    home = check_output([PYSPARK, "-c", "import pyspark; print(pyspark.__path__[0])"], text=True)
    home = Path(home.strip())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": port,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "512m",
        # So few spans would be one piece of work.
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
        "spark.sql.shuffle.partitions": 4,
        "spark.ui.enabled": "false",
    }
    options = [text for it in settings.items() for text in ("--conf", "{}={}".format(*it))]
    started = Popen(
        [
            home / "bin" / "spark-submit",
            *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
            *("--master", master, *options),
        ],
        env={
            **os.environ,
            "SPARK_HOME": str(home),
            "PYSPARK_PYTHON": PYSPARK,
            "SPARK_LOCAL_IP": "127.0.0.1",
        },
        stdout=PIPE,
        stderr=STDOUT,
        text=True,
    )
    try:
        for line in started.stdout:
            if _STARTED in line:
                break
        else:
            pytest.fail("PySpark's server has not started")
        Thread(target=started.stdout.read, daemon=True).start()  # It must not wait for a reader.
        yield f"sc://127.0.0.1:{port}"
    finally:
        started.terminate()
        started.wait(60)
