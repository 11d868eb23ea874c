"""Runs ``clew view`` for a test."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit


@contextmanager
def serving(path, *options):
    """Run ``clew view``, and yield the address that it prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "clew", "view", "--no-browser", "--port", str(port), *options],
        env={**os.environ, "CLEW_STORE": str(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = []
        while not (said and "Ctrl-C" in said[-1]):
            line = process.stdout.readline()
            assert line, said
            said.append(line)
        address = next(line.split(" at ")[1].strip() for line in said if line.startswith("Showing"))
        _wait_for(address)
        yield address, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()


def _wait_for(address, seconds=20):
    parts, until = urlsplit(address), time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((parts.hostname, parts.port), timeout=5).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
