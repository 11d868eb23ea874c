"""Watches a process of an app, and notes at its end what happened, for the doctor to read."""

import atexit
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import time
from types import TracebackType
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import StatusCode
from wrapt import wrap_function_wrapper

from clew import __version__
from clew.context.identity import SESSION_ID, USER_ID
from clew.doctor.provisional import Arming
from clew.doctor.subject import FOLDER
from clew.export.stats import stats
from clew.propagation.threads import threads_are_instrumented

_MODEL_CALLS = {"LLM", "EMBEDDING"}
_watch: "_Watch | None" = None


def begin(*, arm: bool = False) -> None:
    """Watch this process. Also an entry point, for ``opentelemetry-instrument``."""
    global _watch  # One process, one watch
    folder = os.environ.get(FOLDER)
    if _watch is None and folder:
        _watch = _Watch(Path(folder))
        if arm:
            _watch.arming.arm()


class _Watch(SpanProcessor):
    """Counts what goes through every tracer provider."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._began = time()
        self._spans: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._exporters: dict[str, Counter[str]] = {}
        self._exception: str | None = None
        # What is registered first is called last: after the providers have flushed.
        atexit.register(self._note)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)
        self._hook, sys.excepthook = sys.excepthook, self._uncaught
        wrap_function_wrapper(TracerProvider, "__init__", self._provider_was_made)
        wrap_function_wrapper(TracerProvider, "add_span_processor", self._processor_was_added)
        if isinstance(provider := trace.get_tracer_provider(), TracerProvider):
            active = getattr(provider, "_active_span_processor", None)
            for processor in getattr(active, "_span_processors", ()):
                self._watch_exporter(processor)
            provider.add_span_processor(self)
        self.arming = Arming()

    def on_end(self, span: ReadableSpan) -> None:
        """Count *span*."""
        self._spans["ended"] += 1
        said = span.attributes or {}
        if said.get("openinference.span.kind") in _MODEL_CALLS:
            self._spans["model_calls"] += 1
            if SESSION_ID not in said:
                self._spans["model_calls_without_session"] += 1
            if USER_ID not in said:
                self._spans["model_calls_without_user"] += 1
            if span.status.status_code is StatusCode.ERROR:
                self._spans["model_calls_failed"] += 1
                self._failures.update(_exceptions(span))

    def _provider_was_made(self, wrapped: Any, provider: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        provider.add_span_processor(self)

    def _processor_was_added(self, wrapped: Any, _: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        self._watch_exporter(args[0] if args else kwargs.get("span_processor"))

    def _watch_exporter(self, processor: Any) -> None:
        """Count what an exporter of the app's own is given; clew counts for its own."""
        exporter = getattr(processor, "span_exporter", None)
        if exporter is None:
            return
        export = exporter.export
        counts = self._exporters.setdefault(type(exporter).__name__, Counter())

        def counted(spans: Any, *args: Any, **kwargs: Any) -> Any:
            result = None
            try:
                result = export(spans, *args, **kwargs)
            finally:
                arrived = result is SpanExportResult.SUCCESS
                counts["exported" if arrived else "export failed"] += len(spans)
            return result

        exporter.export = counted

    def _uncaught(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        self._exception = f"{kind.__name__}: {error}" if str(error) else kind.__name__
        self._hook(kind, error, traceback)

    def _forked(self) -> None:
        """Begin anew: what was counted until now is the parent's, which notes it itself."""
        self._began = time()
        self._spans.clear()
        self._failures.clear()
        for counts in self._exporters.values():
            counts.clear()

    def _note(self) -> None:
        numbers = stats()
        exporters = {name: Counter(counts) for name, counts in self._exporters.items()}
        for it in numbers.exporters:  # Several of one kind, where a provider was given up.
            counts = exporters.setdefault(it.exporter, Counter())
            counts.update({"exported": it.exported, "never sent": it.waiting, **it.dropped})
        facts = {
            "began": self._began,
            "executable": sys.executable,
            "prefix": sys.prefix,
            "clew": __version__,
            "armed_by": self.arming.by,
            "not_armed": self.arming.failed,
            "frameworks": self.arming.states(),
            "spans": self._spans,
            "failures": self._failures,
            "exporters": {name: +counts for name, counts in exporters.items()},
            "errors": dict(numbers.errors),
            "refused": dict(numbers.refused),
            "provider": _provider(),
            "refused_provider": self.arming.refused_provider,
            "threads": threads_are_instrumented(),
            "exception": self._exception,
        }
        file = self._folder / f"{os.getpid()}.json"
        unfinished = file.with_suffix(".unfinished")
        try:
            unfinished.write_text(json.dumps(facts), "utf-8")
            unfinished.rename(file)
        except OSError:
            return  # The doctor has gone, and its folder with it.


def _exceptions(span: ReadableSpan) -> Iterator[str]:
    """Yield the types of what was raised; a message may hold what nobody should read."""
    for event in span.events:
        if kind := (event.attributes or {}).get("exception.type"):
            yield str(kind).removeprefix("builtins.")


def _provider() -> dict[str, Any] | None:
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        return None
    limits = getattr(provider, "_span_limits", None)
    return {
        "attribute_limit": getattr(limits, "max_span_attributes", None),
        "sampler": provider.sampler.get_description(),
    }
