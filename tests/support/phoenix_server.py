"""Runs a real Phoenix on loopback, in an environment of its own, with everything in one folder."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clew.store.database import connect
from clew.store.otlp import to_protobuf
from clew.store.reader import spans_after

START = 600
"""Seconds that it may take to start, on a machine that does other things besides."""
ANSWER = 300
"""Seconds that an answer may take, there."""


@dataclass(frozen=True)
class Phoenix:
    """A Phoenix that is running."""

    url: str
    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "phoenix.db"

    @property
    def version(self) -> str:
        with urllib.request.urlopen(f"{self.url}/arize_phoenix_version", timeout=ANSWER) as answer:
            text: str = answer.read().decode().strip('" \n')
            return text

    def post(self, path: str, body: bytes, content_type: str) -> bytes:
        headers = {"Content-Type": content_type}
        request = urllib.request.Request(f"{self.url}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=ANSWER) as answer:
            return answer.read()

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Return the data of the answer to a GraphQL query."""
        question = json.dumps({"query": query, "variables": variables}).encode()
        data: dict[str, Any] = json.loads(self.post("/graphql", question, "application/json"))
        return data["data"]

    def send(self, store: Path) -> int:
        """Send every span of the store; return how many there are."""
        connection = connect(store)
        last = number = 0
        while page := spans_after(connection, last, 200):
            body = to_protobuf([span for _, span in page])
            self.post("/v1/traces", body, "application/x-protobuf")
            last, number = page[-1][0], number + len(page)
        connection.close()
        return number


@contextmanager
def phoenix(command: Path, folder: Path) -> Iterator[Phoenix]:
    """Run the Phoenix whose *command* this is; it keeps its database in *folder*."""
    port, grpc_port = _free_port(), _free_port()
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [command, "serve"], cwd=folder, env=environment, stdout=log, stderr=log
        )
    running = Phoenix(f"http://127.0.0.1:{port}", folder)
    try:
        _wait(server, running)
        yield running
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(server: subprocess.Popen[bytes], running: Phoenix) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{running.url}/healthz", timeout=30):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError((running.folder / "log").read_text("utf-8", "replace")[-3000:])


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
