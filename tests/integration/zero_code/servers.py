"""Every server with its options, and how it is started and stopped."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.zero_code.conftest import COMMAND, DISABLED

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[3]
WAYS = ("opentelemetry-instrument", "the one line")

Words = list[str]


@dataclass(frozen=True)
class Server:
    """One row: a server with its options."""

    name: str
    needs: tuple[str, ...]
    """Modules."""
    command: Callable[[int], Words]
    """Takes the file descriptor of the socket that it is to listen on."""
    workers: int = 1
    """How many processes answer, at least, before it is stopped."""
    reloads: bool = False
    """Whether it restarts when a file changes."""


def _uvicorn(*options: str) -> Callable[[int], Words]:
    return lambda fd: ["-m", "uvicorn", "served:asgi", "--fd", str(fd), *options]


def _hypercorn(*options: str) -> Callable[[int], Words]:
    return lambda fd: ["-m", "hypercorn", "served:asgi", "--bind", f"fd://{fd}", *options]


def _gunicorn(worker: str, *options: str) -> Callable[[int], Words]:
    application = "served:asgi" if "uvicorn" in worker else "served:wsgi"
    return lambda fd: [
        *("-m", "gunicorn", application, "--bind", f"fd://{fd}", "--worker-class", worker),
        *("--graceful-timeout", "20", "--no-control-socket", *options),
    ]


def _gunicorns() -> Iterator[Server]:
    workers = {
        "sync": ("sync", ()),
        "gthread": ("gthread", ("--threads", "4")),
        "uvicorn worker": ("uvicorn.workers.UvicornWorker", ()),
    }
    for name, (worker, options) in workers.items():
        needs = ("gunicorn", "uvicorn") if "uvicorn" in worker else ("gunicorn",)
        two = ("--workers", "2", *options)
        yield Server(f"gunicorn, {name}", needs, _gunicorn(worker, *two), 2)
        yield Server(f"gunicorn, {name}, --preload", needs, _gunicorn(worker, *two, "--preload"), 2)
        recycling = ("--max-requests", "5", *options)
        yield Server(f"gunicorn, {name}, --max-requests", needs, _gunicorn(worker, *recycling), 3)


SERVERS = (
    Server("uvicorn", ("uvicorn",), _uvicorn()),
    Server("uvicorn --workers 2", ("uvicorn",), _uvicorn("--workers", "2"), 2),
    Server(
        "uvicorn --reload",
        ("uvicorn",),
        _uvicorn("--reload", "--reload-dir", "watched", "--app-dir", str(PROGRAMS)),
        2,
        reloads=True,
    ),
    *_gunicorns(),
    Server("hypercorn", ("hypercorn",), _hypercorn()),
    Server("hypercorn --workers 2", ("hypercorn",), _hypercorn("--workers", "2"), 2),
)


def environment(way: str, endpoint: str, provider: str, **more: str) -> dict[str, str]:
    path = [str(PROGRAMS), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        **DISABLED,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "START": way,
        "PROVIDER": provider,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        # So that only the delivery at the end of a process is tested.
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "GUNICORN_CMD_ARGS": "",
        **more,
    }


@contextmanager
def running(
    words: Words, way: str, log: Path, variables: dict[str, str], *descriptors: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; then stop it by SIGTERM, as a deployment does."""
    before = [COMMAND] if way == "opentelemetry-instrument" else []
    with log.open("w") as output:
        process = subprocess.Popen(
            [*before, sys.executable, *words],
            env=variables,
            cwd=log.parent,
            pass_fds=descriptors,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        finally:
            process.kill()
            process.wait(20)


def complaints(log: Path) -> list[str]:
    """Return the log lines that name clew, except as a folder in a path."""
    return [line for line in log.read_text().splitlines() if re.search(r"(?<![/\w])clew", line)]
