"""A registry for defects of an instrumentor, each shown by a function in its own process.

The decorator of the function states what it returns with clew, and what with upstream alone. The
test with upstream alone fails once upstream has mended the defect.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider

from tests.support.providers import ProviderServer


class SpanRecorder(SpanProcessor):
    """Keeps the spans that were started, and the id of a span each time it is ended."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.ends: list[int] = []

    def on_start(self, span: Span, parent_context=None):
        self.started.append(span)

    def on_end(self, span):
        self.ends.append(span.context.span_id)

    @property
    def span(self):
        """The only span, or the root of the others."""
        return self.started[0]

    @property
    def open(self):
        return [span.name for span in self.started if span.end_time is None]

    def tokens(self):
        """Return the token counts: prompt, completion, total, cache read, cache write."""
        names = ("prompt", "completion", "total", *("prompt_details.cache_" + it for it in _CACHE))
        return tuple(self.span.attributes.get(f"llm.token_count.{name}") for name in names)


_CACHE = ("read", "write")


def warnings_of(caplog):
    """Return what OpenTelemetry warned of; asyncio tells of the connection of a cancelled read."""
    return [it for it in caplog.records if it.name.startswith("opentelemetry")]


class LogRecorder(logging.Handler):
    """Keeps the messages that were logged as warnings or errors."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@dataclass
class Scene:
    """What the function of a defect is given."""

    server: ProviderServer
    spans: SpanRecorder
    logged: LogRecorder
    instrument: Callable[[], None]


@dataclass(frozen=True)
class Defect:
    find: Callable[[Scene], Any]
    mended: Any
    upstream: Any
    late: bool


class Defects(dict[str, Defect]):
    """The defects of one instrumentor, by the names of their functions."""

    def defect(self, *, mended, upstream, late=False):
        """Register a function and its results. If *late*, it calls `scene.instrument` itself."""

        def register(find):
            self[find.__name__] = Defect(find, mended, upstream, late)
            return find

        return register

    def cases(self):
        return pytest.mark.parametrize("defect", self)

    def code(self, name, who):
        """Return code for another process that calls `assert_found`."""
        module = self[name].find.__module__
        return f"from {module} import DEFECTS; DEFECTS.assert_found({name!r}, {who!r})"

    def assert_found(self, name, who):
        """Assert what the function returns with *who*: ``mended`` (clew) or ``upstream``."""
        defect = self[name]
        spans, logged = SpanRecorder(), LogRecorder()
        logging.getLogger().addHandler(logged)
        provider = TracerProvider()
        provider.add_span_processor(spans)

        def instrument():
            if who == "mended":
                from clew import instrument_all
                from clew.core import containment

                containment.reraise = True
                instrument_all(tracer_provider=provider)
            else:
                from openinference.instrumentation.bedrock import BedrockInstrumentor

                BedrockInstrumentor().instrument(tracer_provider=provider)

        if not defect.late:
            instrument()
        with ProviderServer() as server:
            found = defect.find(Scene(server, spans, logged, instrument))
        expected = getattr(defect, who)
        assert found == expected, f"{name} with {who}: {found!r}, not {expected!r}"
