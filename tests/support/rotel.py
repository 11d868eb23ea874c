"""Rotel, a collector that is a program of its own, from the package `rotel`.

It is written in Rust, and is not the OpenTelemetry Collector, but its ClickHouse exporter fills the
same table. ``ROTEL`` names the program.
"""

import os
import socket
import subprocess
from contextlib import contextmanager
from time import monotonic, sleep
from typing import NamedTuple

import pytest

PROGRAM = os.environ.get("ROTEL")
_SECONDS = 20
needed = pytest.mark.skipif(not PROGRAM, reason="ROTEL names no program: Rotel is not installed")


class Rotel(NamedTuple):
    """A Rotel that is running."""

    url: str
    process: subprocess.Popen

    def end(self):
        """Have it send what it has, and end; fail if it says that something was not sent."""
        self.process.terminate()
        said, _ = self.process.communicate(timeout=_SECONDS)
        assert "ERROR" not in said, said


@contextmanager
def running(folder, exporter, **given):
    """Run Rotel with an exporter of this type, to which these settings are *given*.

    It is yielded once it receives OTLP/HTTP.
    """
    port, other = _free_ports()
    settings = {name: it for name, it in os.environ.items() if not name.startswith("ROTEL_")}
    settings |= {
        "ROTEL_PID_FILE": str(folder / f"rotel-{port}.pid"),
        "ROTEL_OTLP_HTTP_ENDPOINT": f"127.0.0.1:{port}",
        "ROTEL_OTLP_GRPC_ENDPOINT": f"127.0.0.1:{other}",
        "ROTEL_EXPORTER": exporter,
        **{f"ROTEL_{exporter}_EXPORTER_{name}".upper(): it for name, it in given.items()},
    }
    process = subprocess.Popen(
        [PROGRAM, "start"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=settings,
    )
    try:
        _wait(port, process)
        yield Rotel(f"http://127.0.0.1:{port}", process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _free_ports():
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as it,
    ):
        return one.getsockname()[1], it.getsockname()[1]


def _wait(port, process):
    end = monotonic() + _SECONDS
    while process.poll() is None and monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            sleep(0.05)
        else:
            return
    process.kill()
    message = f"Rotel does not listen: {process.communicate()[0]}"
    raise AssertionError(message)
