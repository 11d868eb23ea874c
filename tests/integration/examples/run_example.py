"""Runs an example as a user would, without a network, and collects its spans."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clew.cli.demo.spans import Span
from clew.store.otlp import records_of
from clew.store.record import SpanRecord
from tests.support.collector import Collector

ROOT = Path(__file__).parents[3]
WITHOUT_NETWORK = Path(__file__).parent / "without_network"
_FAILED = 2


@dataclass(frozen=True)
class Run:
    """The result of a run."""

    status: int
    output: str
    errors: str
    spans: Sequence[Span]


def run(*command: str, folder: Path, **settings: str) -> Run:
    """Run a command in *folder*, without any key, and with a collector for its spans."""
    with isolated_environment(folder) as (environment, collector):
        return _run(command, folder, environment | settings, collector)


def _run(
    command: Sequence[str], folder: Path, environment: dict[str, str], collector: Collector
) -> Run:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr, received_spans(collector))


@contextmanager
def isolated_environment(folder: Path) -> Iterator[tuple[dict[str, str], Collector]]:
    """Yield an environment without any key and without a network, and its collector."""
    kept = {"PATH", "SYSTEMROOT", "TMPDIR", "VIRTUAL_ENV"}
    kept_variables = {name: value for name, value in os.environ.items() if name in kept}
    with Collector() as collector:
        environment = kept_variables | {
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
        yield environment, collector


def example(name: str, *options: str, folder: Path) -> Run:
    """Run an example in *folder*, which is not its own: it must find its files from anywhere."""
    app = ROOT / "examples" / name / "app.py"
    return run(sys.executable, str(app), *options, folder=folder)


def example_with_spans(name: str, *options: str, folder: Path) -> tuple[Run, list[SpanRecord]]:
    """Run one of the examples in *folder*; return its spans with all that is in them, too."""
    app = ROOT / "examples" / name / "app.py"
    with isolated_environment(folder) as (environment, collector):
        done = _run((sys.executable, str(app), *options), folder, environment, collector)
        return done, [span for export in collector.exports() for span in records_of(export)]


def received_spans(collector: Collector) -> list[Span]:
    """Return the spans received so far, each with the name of its service."""
    return list(_received(collector))


def _received(collector: Collector) -> Iterator[Span]:
    for export in collector.exports():
        for source in export.resource_spans:
            names = {it.key: it.value.string_value for it in source.resource.attributes}
            for scope in source.scope_spans:
                for span in scope.spans:
                    yield _converted(span, names.get("service.name", ""))


def _converted(span: Any, service: str) -> Span:
    attributes = {it.key: it.value for it in span.attributes}

    def text(name: str) -> str | None:
        return attributes[name].string_value if name in attributes else None

    total = attributes.get("llm.token_count.total")
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
