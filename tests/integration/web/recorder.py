"""Records the spans of the servers under test, and what each request left in the context."""

import json
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import INVALID_SPAN, get_current_span

from clew import current

APPLICATION = "application"
WARNINGS = ("Failed to detach context", "on an ended span", "on ended span", "clew failed")


@dataclass(frozen=True)
class Seen:
    """The parts of a finished span that are compared."""

    name: str
    kind: str
    scope: str
    session: str | None
    user: str | None
    trace: int
    told: str | None
    path: str | None

    @classmethod
    def of(cls, span: ReadableSpan) -> "Seen":
        said = dict(span.attributes or {})
        return cls(
            name=span.name,
            kind=span.kind.name,
            scope=span.instrumentation_scope.name,
            session=said.get("session.id"),
            user=said.get("user.id"),
            trace=span.context.trace_id,
            told=said.get("told"),
            path=said.get("http.target") or said.get("url.path"),
        )


@dataclass
class Record:
    """Everything that was recorded."""

    started: int = 0
    spans: list[Seen] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What was still in the context after each request; an empty text where nothing was."""

    @property
    def application(self) -> list[Seen]:
        return [span for span in self.spans if span.scope == APPLICATION]

    @property
    def servers(self) -> list[Seen]:
        return [span for span in self.spans if span.kind == "SERVER"]

    def names(self, session: str | None) -> Counter[str]:
        return Counter(span.name for span in self.application if span.session == session)

    def assert_clean(self, requests: int) -> None:
        assert self.left == [""] * requests
        assert self.started == len(self.spans), "a span was not ended"

    @classmethod
    def read(cls, path: Path) -> "Record":
        record = cls()
        for line in path.read_text().splitlines():
            event, content = json.loads(line)
            if event == "start":
                record.started += 1
            elif event == "end":
                record.spans.append(Seen(**content))
            else:
                record.left.append(content)
        return record


class Recorder(SpanProcessor):
    """Records in memory, and line by line in a file if it gets a path."""

    def __init__(self, path: str | None = None) -> None:
        self.record = Record()
        self._changed = threading.Condition()
        self._file = open(path, "a", buffering=1) if path else None  # noqa: SIM115

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        with self._changed:
            self.record.started += 1
            self._write("start", None)

    def on_end(self, span: ReadableSpan) -> None:
        seen = Seen.of(span)
        with self._changed:
            self.record.spans.append(seen)
            self._write("end", asdict(seen))

    def leave(self) -> None:
        """Record what is in the context after a request."""
        left = [str(current())] if current() else []
        if get_current_span() is not INVALID_SPAN:
            left.append(str(get_current_span()))
        with self._changed:
            self.record.left.append(" ".join(left))
            self._write("left", " ".join(left))
            self._changed.notify_all()

    def after(self, requests: int) -> Record:
        """Wait until *requests* requests and their background tasks are done; return the record."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.record.left) >= requests, timeout=30)
        self.record.assert_clean(requests)
        return self.record

    def _write(self, event: str, content: Any) -> None:
        if self._file:
            self._file.write(json.dumps([event, content]) + "\n")


class ASGIProbe:
    """The outermost middleware: checks the context after each request."""

    def __init__(self, app: Any, recorder: Recorder) -> None:
        self.app = app
        self.recorder = recorder

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            self.recorder.leave()


class WSGIProbe:
    """The outermost middleware: checks the context between the steps and after each request."""

    def __init__(self, app: Any, recorder: Recorder) -> None:
        self.app = app
        self.recorder = recorder

    def __call__(self, environ: Any, start_response: Any) -> Any:
        body = self.app(environ, start_response)
        return _ProbedBody(body, self.recorder)


class _ProbedBody:
    def __init__(self, body: Any, recorder: Recorder) -> None:
        self._body = body
        self._recorder = recorder

    def __iter__(self) -> Any:
        return iter(self._body)

    def close(self) -> None:
        try:
            if close := getattr(self._body, "close", None):
                close()
        finally:
            self._recorder.leave()
