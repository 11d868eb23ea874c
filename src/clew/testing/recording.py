"""Recording: the spans that the application makes while a test runs."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from weakref import finalize

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from clew.context.api import using_session
from clew.context.blocks import Changes
from clew.context.ids import SESSION_ID
from clew.core import settings
from clew.export.default_provider import has_exporters_configured, provider_of_the_application
from clew.instrument.api import (
    call_after_start,
    instrument_automatically,
    running_provider,
    uninstrument_all,
)
from clew.spans import cost
from clew.spans.other_providers import add_processor
from clew.spans.price_list import prices_are_installed
from clew.store.file_writer import FileWriter
from clew.store.sdk import record_of


class Recorded:
    """The spans of one test. They are written to its store when somebody wants to read them."""

    def __init__(self, path: Path, recording: "Recording") -> None:
        self.path = path
        self._recording = recording
        self._file = FileWriter(path)
        self._waiting: list[ReadableSpan] = []
        self._is_closed = False

    def add(self, span: ReadableSpan) -> None:
        """Keep a span that has ended, unless the test is over."""
        if not self._is_closed:
            self._waiting.append(span)

    def attach(self) -> None:
        """Record the spans of tracer providers that the application has set since, too."""
        self._recording.attach()

    def write(self) -> int:
        """Write what has come since the last time; return how many spans that were."""
        # A thread may add one meanwhile: what is taken is exactly what was there.
        taken = self._waiting[:]
        del self._waiting[: len(taken)]
        if taken or not self.path.exists():
            self._file.add([record_of(span) for span in taken])
        return len(taken)

    def close(self) -> None:
        """Close the file."""
        self._is_closed = True
        self._file.close()


class _Conversation(NamedTuple):
    """What the block of a conversation puts into the context."""

    recorded: Recorded
    session_id: object


_CONVERSATION = "clew.conversation"


class ConversationBlock(using_session):
    """The block of a session of a test: what is started inside it is recorded for that test."""

    __slots__ = ("_recorded",)

    def __init__(self, recorded: Recorded, session_id: str, *, user_id: str | None = None) -> None:
        super().__init__(session_id, user_id=user_id)
        self._recorded = recorded

    def _changes(self) -> Changes:
        changes = super()._changes()
        # A string of its own: the application may set an equal id, for whichever test.
        session_id = "".join(iter(str(changes[SESSION_ID])))
        conversation = _Conversation(self._recorded, session_id)
        return {**changes, SESSION_ID: session_id, _CONVERSATION: conversation}


def _test_of(context: Context | None) -> Recorded | None:
    """Return the test whose conversation *context* is in, and not in a session inside of that.

    A worker that the application has started in one test goes on in its context, but each job may
    have a session of its own, in any test.
    """
    conversation = context.get(_CONVERSATION) if context is not None else None
    if context is None or not isinstance(conversation, _Conversation):
        return None
    is_inside = context.get(SESSION_ID) is conversation.session_id
    return conversation.recorded if is_inside else None


class _Processor(SpanProcessor):
    """Gives each span that ends to the test that it belongs to; no span, if none wants any.

    That is the test in whose conversation it started, or else the one that was running then: a
    thread may go on when its test is over, and must not add to the next one.
    """

    def __init__(self) -> None:
        self.recorded: Recorded | None = None
        self._tests: dict[tuple[int, int], Recorded] = {}
        """The test of each span, for as long as that exists, by the ids of trace and span."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember which test *span* belongs to. When it ends, only a copy of it is seen."""
        recorded = _test_of(parent_context) or _test_of(get_current()) or self.recorded
        if recorded is not None and (context := span.context) is not None:
            key = (context.trace_id, context.span_id)
            self._tests[key] = recorded
            finalize(span, self._tests.pop, key, None).atexit = False

    def on_end(self, span: ReadableSpan) -> None:
        """Keep *span*, if it is sampled."""
        if (context := span.context) is not None and context.trace_flags.sampled:
            recorded = self._tests.get((context.trace_id, context.span_id), self.recorded)
            if recorded is not None:
                recorded.add(span)


class Recording:
    """Switches clew on for a run of tests, and off after it, unless the application had done it."""

    def __init__(self) -> None:
        self._processor = _Processor()
        self._providers: list[Any] = []
        self._is_started_here = False
        self._stop_listening: Callable[[], None] | None = None

    def start(self) -> None:
        """Instrument the frameworks; with other arguments, if the application gives them later.

        Where no exporter is configured, the spans of tests go to no other place than their stores.
        """
        self._is_started_here |= running_provider() is None
        # The application's own start may come inside a test, and bring a provider of its own.
        self._stop_listening = self._stop_listening or call_after_start(self.attach)
        variables = {}
        if prices_are_installed() and not os.environ.get(settings.COST.name, "").strip():
            variables[settings.COST.name] = "1"
        if not has_exporters_configured() and provider_of_the_application() is None:
            variables["OTEL_TRACES_EXPORTER"] = "none"
        with _environment(variables):
            instrument_automatically()
            cost.read_cost_setting()  # The application may have started clew before.
        self.attach()

    def stop(self) -> None:
        """Undo what `start` has done."""
        cost.read_cost_setting()
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        if self._is_started_here:
            uninstrument_all()

    @contextmanager
    def into(self, path: Path) -> Iterator[Recorded]:
        """Keep the spans that end inside the block in a store at *path*."""
        if running_provider() is None:  # A test has switched clew off.
            self.start()
        recorded = Recorded(path, self)
        self.attach()
        self._processor.recorded = recorded
        try:
            yield recorded
        finally:
            self._processor.recorded = None
            recorded.close()

    def attach(self) -> None:
        """Record the spans of the global tracer provider, and of the one that clew was given."""
        for provider in (trace.get_tracer_provider(), running_provider()):
            if not hasattr(provider, "add_span_processor"):
                continue
            if not any(provider is it for it in self._providers):
                add_processor(provider, self._processor)
                self._providers.append(provider)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables inside the block; none of them is set outside of it."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
