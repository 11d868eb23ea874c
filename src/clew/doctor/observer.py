"""Watches a process of an app, and at its end writes down what happened, for the doctor."""

import atexit
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import time
from types import TracebackType
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import StatusCode

from clew import __version__
from clew.context.ids import SESSION_ID, USER_ID
from clew.core import otel_private
from clew.doctor.provisional import TracingStart
from clew.doctor.subject import FOLDER
from clew.export.default_provider import provider_of_the_application
from clew.export.stats import stats
from clew.patching.wrap import wrap_functions
from clew.propagation.fork import after_last_flush
from clew.propagation.threads import threads_are_instrumented

_MODEL_CALLS = {"LLM", "EMBEDDING"}
_watch: "_Watch | None" = None


def begin(*, start_tracing: bool = False) -> None:
    """Watch this process. Also an entry point, for ``opentelemetry-instrument``."""
    global _watch  # At most one in a process
    folder = os.environ.get(FOLDER)
    if _watch is None and folder:
        _watch = _Watch(Path(folder))
        if start_tracing:
            _watch.tracing.start_provisionally()


class _Watch(SpanProcessor):
    """Counts the spans of every tracer provider in this process, and what becomes of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._began = time()
        self._spans: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._exporters: dict[str, Counter[str]] = {}
        self._exception: str | None = None
        self.tracing = TracingStart()
        provider = provider_of_the_application()
        # atexit calls last what was registered first: this, after the providers have flushed.
        atexit.register(self._write)
        after_last_flush(self._write)  # Processes that run no atexit.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)
        self._hook, sys.excepthook = sys.excepthook, self._on_uncaught
        wrap_functions(
            TracerProvider,
            {"__init__": self._on_provider_init, "add_span_processor": self._on_processor_added},
        )
        if isinstance(provider, TracerProvider):
            for processor in otel_private.span_processors(provider):
                self._count_exports(processor)
            provider.add_span_processor(self)
            otel_private.shut_down_first(provider)

    def on_end(self, span: ReadableSpan) -> None:
        """Count *span*."""
        if not self._spans:
            with suppress(OSError):  # As in `_write`.
                self._file(".began").touch()  # Remains alone if the process is killed.
        self._spans["ended"] += 1
        attributes = span.attributes or {}
        if attributes.get("openinference.span.kind") in _MODEL_CALLS:
            self._spans["model_calls"] += 1
            if SESSION_ID not in attributes:
                self._spans["model_calls_without_session"] += 1
            if USER_ID not in attributes:
                self._spans["model_calls_without_user"] += 1
            if span.status.status_code is StatusCode.ERROR:
                self._spans["model_calls_failed"] += 1
                self._failures.update(_exception_types(span))

    def _on_provider_init(self, wrapped: Any, provider: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        provider.add_span_processor(self)

    def _on_processor_added(self, wrapped: Any, _: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        self._count_exports(args[0] if args else kwargs.get("span_processor"))

    def _count_exports(self, processor: Any) -> None:
        """Count the spans that the app's own exporter gets; `stats` has those of clew's."""
        exporter = getattr(processor, "span_exporter", None)
        if exporter is None:
            return
        counts = self._exporters.setdefault(type(exporter).__name__, Counter())

        def export(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
            result = None
            try:
                result = wrapped(*args, **kwargs)
            finally:
                delivered = result is SpanExportResult.SUCCESS
                spans = args[0] if args else kwargs["spans"]
                counts["exported" if delivered else "export failed"] += len(spans)
            return result

        wrap_functions(exporter, {"export": export})

    def _on_uncaught(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        self._exception = f"{kind.__name__}: {error}" if str(error) else kind.__name__
        self._hook(kind, error, traceback)

    def _after_fork(self) -> None:
        """Count from zero in a forked child: the parent reports what was counted before."""
        self._began = time()
        self._spans.clear()
        self._failures.clear()
        for counts in self._exporters.values():
            counts.clear()

    def _write(self) -> None:
        numbers = stats()
        self.tracing.notice_automatic_start()
        exporters = {name: Counter(counts) for name, counts in self._exporters.items()}
        for row in numbers.exporters:  # Several of one class, where a provider was replaced.
            counts = exporters.setdefault(row.exporter, Counter())
            counts.update({"exported": row.exported, "never sent": row.waiting, **row.dropped})
        facts = {
            "began": self._began,
            "executable": sys.executable,
            "prefix": sys.prefix,
            "clew": __version__,
            "started_by": self.tracing.by,
            "not_started": self.tracing.failed,
            "frameworks": self.tracing.states(),
            "spans": self._spans,
            "failures": self._failures,
            "exporters": {name: +counts for name, counts in exporters.items()},
            "errors": dict(numbers.errors),
            "refused": dict(numbers.refused),
            "provider": _provider(),
            "refused_provider": self.tracing.refused_provider,
            "threads": threads_are_instrumented(),
            "exception": self._exception,
        }
        unfinished = self._file(".unfinished")
        with suppress(OSError):  # The doctor has ended, and its folder is gone.
            unfinished.write_text(json.dumps(facts), "utf-8")
            unfinished.replace(self._file(".json"))

    def _file(self, suffix: str) -> Path:
        return self._folder / f"{os.getpid()}{suffix}"


def _exception_types(span: ReadableSpan) -> Iterator[str]:
    """Yield the types of the exceptions only: a message may hold private text."""
    for event in span.events:
        if kind := (event.attributes or {}).get("exception.type"):
            yield str(kind).removeprefix("builtins.")


def _provider() -> dict[str, Any] | None:
    provider = provider_of_the_application()
    if not isinstance(provider, TracerProvider):
        return None
    return {
        "attribute_limit": otel_private.attribute_limit(provider),
        "sampler": provider.sampler.get_description(),
    }
