"""Runs an example as a person would, where no network can be reached, and collects its spans."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clew.cli.demo.spans import Span
from tests.activation.collector import Collector

ROOT = Path(__file__).parents[2]
WITHOUT_NETWORK = Path(__file__).parent / "without_network"
_FAILED = 2


@dataclass(frozen=True)
class Run:
    """What came of it."""

    status: int
    output: str
    errors: str
    spans: Sequence[Span]


def run(*command: str, folder: Path, **settings: str) -> Run:
    """Run a command in *folder*, without any key, and with a collector for its spans."""
    with surroundings(folder) as (given, collector):
        told = {**given, **settings}
        done = subprocess.run(
            command, cwd=folder, env=told, capture_output=True, text=True, timeout=100, check=False
        )
        return Run(done.returncode, done.stdout, done.stderr, shown(collector))


@contextmanager
def surroundings(folder: Path) -> Iterator[tuple[dict[str, str], Collector]]:
    """Yield an environment without any key and without a network, and its collector."""
    kept = {"PATH", "SYSTEMROOT", "TMPDIR", "VIRTUAL_ENV"}
    told = {name: value for name, value in os.environ.items() if name in kept}
    with Collector() as collector:
        given = told | {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "DSPY_CACHEDIR": str(folder / ".dspy_cache"),
            "HOME": str(folder),
            "LANGSMITH_TRACING": "false",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "PYTHONPATH": str(WITHOUT_NETWORK),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        yield given, collector


def example(name: str, *options: str, folder: Path) -> Run:
    """Run one of the examples in *folder*, which is not its own: it must find what it needs."""
    app = ROOT / "examples" / name / "app.py"
    return run(sys.executable, str(app), *options, folder=folder)


def shown(collector: Collector) -> list[Span]:
    """Return what has come to the collector so far, each span with the service that it is of."""
    return list(_received(collector))


def _received(collector: Collector) -> Iterator[Span]:
    for request in list(collector.requests):
        for source in request.resource_spans:
            names = {it.key: it.value.string_value for it in source.resource.attributes}
            for scope in source.scope_spans:
                for span in scope.spans:
                    yield _shown(span, names.get("service.name", ""))


def _shown(span: Any, service: str) -> Span:
    said = {it.key: it.value for it in span.attributes}

    def text(name: str) -> str | None:
        return said[name].string_value if name in said else None

    total = said.get("llm.token_count.total")
    failed = span.status.code == _FAILED
    return Span(
        trace=span.trace_id,
        id=span.span_id,
        parent=span.parent_span_id or None,
        name=span.name,
        kind=text("openinference.span.kind") or "",
        session=text("session.id"),
        user=text("user.id"),
        tokens=total.int_value if total else None,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        error=(span.status.message or "failed") if failed else None,
        service=service,
    )
