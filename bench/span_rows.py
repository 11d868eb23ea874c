"""The rows that ``span.py`` compares, and the program that makes their spans.

The program takes the number of rounds and of spans per batch. It writes one line of JSON to
standard output: for each row the microseconds per span in each round.
"""

import gc
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextlib import nullcontext as no_block
from dataclasses import dataclass, field
from time import thread_time_ns
from typing import TYPE_CHECKING, Any, cast

from openinference import instrumentation as upstream
from opentelemetry import baggage, context
from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider

from bench.pairing import turns
from clew import using_session
from clew.export.default_provider import MAX_ATTRIBUTES
from clew.spans.processor import IdentityProcessor
from clew.spans.tracer_provider import ClewTracerProvider

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

SESSION, USER = "chat-42", "ada"
IDS = {"session.id": SESSION, "user.id": USER}


class Dropping(SpanProcessor):
    """Ignores every span, because the span is measured and not its export."""


@dataclass(frozen=True)
class Row:
    """One way to give a span its ids, or none."""

    tracer: "Tracer"
    block: Callable[[], AbstractContextManager[object]]
    ids: Mapping[str, str] = field(default_factory=lambda: IDS)
    """What its spans must carry."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """The arguments that each span is started with, besides its name."""

    def batch(self, spans: int) -> float:
        """Make *spans* spans inside one block; return the microseconds of CPU that each took."""
        make, arguments = self.tracer.start_as_current_span, self.arguments
        with self.block():
            begun = thread_time_ns()
            for _ in range(spans):
                with make("work", **arguments):
                    pass
            return (thread_time_ns() - begun) / spans / 1000

    def check(self) -> None:
        """Raise unless a span carries the ids of the row: a row that does nothing is fast."""
        with self.block(), self.tracer.start_as_current_span("work", **self.arguments) as span:
            attributes: Mapping[str, Any] = getattr(span, "attributes", {})
        carried = {key: attributes[key] for key in IDS if key in attributes}
        if carried != self.ids:
            message = f"a span carries {carried}, not {self.ids}"
            raise RuntimeError(message)


def rows() -> dict[str, Row]:
    """Return the rows, by the names that ``span.py`` has titles for."""
    plain = _provider().get_tracer("bench")
    with_baggage = _provider(BaggageSpanProcessor(ALLOW_ALL_BAGGAGE_KEYS)).get_tracer("bench")
    with_clew = _provider(IdentityProcessor()).get_tracer("bench")
    of_clew = _provider(IdentityProcessor(high_limit=True), limit=MAX_ATTRIBUTES).get_tracer(
        "bench"
    )
    behind_clew = ClewTracerProvider(_provider(IdentityProcessor())).get_tracer("bench")
    return {
        "plain": Row(plain, no_block, ids={}),
        "by_hand": Row(plain, no_block, arguments={"attributes": IDS}),
        "baggage": Row(with_baggage, _ids_in_baggage),
        "clew": Row(of_clew, _using_clew),
        "clew_keeping": Row(with_clew, _using_clew),
        "oi": Row(_oi(_provider().get_tracer("bench")), _using_upstream),
        "oi_clew": Row(_oi(behind_clew), _using_clew),
    }


def run(rounds: int, spans: int) -> dict[str, list[float]]:
    """Run all rows in turns, one batch each per round; return their times."""
    compared = rows()
    times: dict[str, list[float]] = {name: [] for name in compared}
    for row in compared.values():
        row.check()
        row.batch(spans)
    for order in turns(compared, rounds):
        gc.collect()
        gc.disable()  # A collection is due to all rows, and would count for one.
        try:
            for name in order:
                times[name].append(compared[name].batch(spans))
        finally:
            gc.enable()
    return times


def _provider(*processors: SpanProcessor, limit: int = 128) -> TracerProvider:
    limits = SpanLimits(max_span_attributes=limit)  # Set here, so that no variable does.
    provider = TracerProvider(span_limits=limits, shutdown_on_exit=False)
    for processor in (*processors, Dropping()):
        provider.add_span_processor(processor)
    return provider


def _oi(tracer: "Tracer") -> "Tracer":
    proxy: Any = upstream.OITracer(tracer, config=upstream.TraceConfig())
    return cast("Tracer", proxy)


def _using_clew() -> AbstractContextManager[object]:
    return using_session(SESSION, user_id=USER)


@contextmanager
def _using_upstream() -> Iterator[None]:
    with upstream.using_session(SESSION), upstream.using_user(USER):
        yield


@contextmanager
def _ids_in_baggage() -> Iterator[None]:
    inside = context.get_current()
    for name, value in IDS.items():
        inside = baggage.set_baggage(name, value, inside)
    token = context.attach(inside)
    try:
        yield
    finally:
        context.detach(token)


if __name__ == "__main__":
    print(json.dumps(run(*map(int, sys.argv[1:]))))
