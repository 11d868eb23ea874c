"""Defects of an instrumentor, each found out by a function, in a process of its own.

The function returns what it finds; the decorator says what that is with clew, and what it is with
upstream alone. The day upstream mends a defect, the second is no longer true.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider

from tests.providers import ProviderServer


class Watched(SpanProcessor):
    """The spans that were started, and how often each was ended."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.ends: list[int] = []

    def on_start(self, span: Span, parent_context=None):
        self.started.append(span)

    def on_end(self, span):
        self.ends.append(span.context.span_id)

    @property
    def span(self):
        """The only span, or the one that the others are parts of."""
        return self.started[0]

    @property
    def open(self):
        return [span.name for span in self.started if span.end_time is None]

    def tokens(self):
        """Prompt, answer, total, read from the cache, written to it."""
        names = ("prompt", "completion", "total", *("prompt_details.cache_" + it for it in _CACHE))
        return tuple(self.span.attributes.get(f"llm.token_count.{name}") for name in names)


_CACHE = ("read", "write")


class Logged(logging.Handler):
    """What was logged as a warning, or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@dataclass
class Scene:
    """What a defect is found out with."""

    server: ProviderServer
    spans: Watched
    logged: Logged
    instrument: Callable[[], None]


@dataclass(frozen=True)
class Defect:
    find: Callable[[Scene], Any]
    mended: Any
    upstream: Any
    late: bool


class Defects(dict[str, Defect]):
    """The defects of one instrumentor by name."""

    def defect(self, *, mended, upstream, late=False):
        """Say what the function finds. With *late* it switches the instrumentor on by itself."""

        def register(find):
            self[find.__name__] = Defect(find, mended, upstream, late)
            return find

        return register

    def cases(self):
        return pytest.mark.parametrize("defect", self)

    def code(self, name, who):
        """Return the code by which another process asserts what is found."""
        module = self[name].find.__module__
        return f"from {module} import DEFECTS; DEFECTS.assert_found({name!r}, {who!r})"

    def assert_found(self, name, who):
        """Assert that the defect is what it should be with *who*: ``mended`` or ``upstream``."""
        defect = self[name]
        spans, logged = Watched(), Logged()
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
