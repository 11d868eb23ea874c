"""Makes every call of the landing table once; prints its LLM spans and tokens as JSON.

The first argument chooses the tracer: ``clew``, or ``upstream``, the same instrumentors alone.
"""

import json
import sys
from contextlib import ExitStack, redirect_stdout
from importlib import import_module

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from clew import instrument_all
from clew.core.frameworks import FRAMEWORKS
from tests.landing.calls import CELLS, LOOP
from tests.landing.tokens import behind_an_agent, counted_on, stated_by
from tests.support.providers import ProviderServer


class _Started(SpanProcessor):
    def __init__(self) -> None:
        self.spans = []

    def on_start(self, span, parent_context=None):  # noqa: ARG002 - the SDK's signature
        self.spans.append(span)


def main() -> None:
    """Make the calls; print one row per cell."""
    started = _Started()
    provider = TracerProvider()
    provider.add_span_processor(started)
    trace.set_tracer_provider(provider)
    if sys.argv[1] == "clew":
        instrument_all()
    rows = []
    with ExitStack() as stack:
        server = stack.enter_context(ProviderServer())
        stack.enter_context(LOOP)
        stack.enter_context(redirect_stdout(sys.stderr))
        if sys.argv[1] == "upstream":
            for framework in FRAMEWORKS:
                module, _, name = framework.instrumentor.partition(":")
                getattr(import_module(module), name)().instrument()
        for cell in CELLS:
            if cell.missing() or cell.mode.startswith(("error", "timeout")):
                continue
            server.clear()
            begin = len(started.spans)
            try:
                cell.call(server)
            except Exception as error:  # A defect upstream may break the call
                rows.append({"cell": _name(cell), "raised": type(error).__name__})
                continue
            rows.append(_row(cell, started.spans[begin:], server.exchanges))
    print(json.dumps(rows))


def _name(cell) -> str:
    return f"{cell.framework} {cell.name.replace('_', ' ')}"


def _row(cell, spans, exchanges) -> dict:
    stated, counted = stated_by(exchanges), counted_on(spans)
    unknown = not exchanges or behind_an_agent(exchanges)
    return {
        "cell": _name(cell),
        "calls": counted.calls if unknown else stated.calls,
        "tokens": stated.usage.total,
        "llm_spans": counted.calls,
        "counted": counted.usage.total,
        "traces": len({span.context.trace_id for span in spans}),
    }


if __name__ == "__main__":
    main()
