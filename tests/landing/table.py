"""Makes a call inside and outside a session, and checks the spans of both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace

from clew import current, using_session
from tests.landing.results import RESULTS
from tests.landing.ways import Way, inside

SESSION, USER = "chat-42", "ada"


@dataclass(frozen=True)
class Outcome:
    """The spans made inside the block, and those made outside it."""

    made: Sequence[Any]
    outside: Sequence[Any]

    def record(self, framework: str, mode: str) -> None:
        """Add it to the results, and assert that no span is at fault."""
        missing = [it for it in self.made if None in ids(it)]
        wrong = [it for it in self.made if None not in ids(it) != (SESSION, USER)]
        leaked = [it for it in self.outside if {SESSION, USER} & set(ids(it))]
        row = RESULTS.row(framework, mode)
        row.cells += 1
        row.spans += [*self.made, *self.outside]
        row.missing += len(missing)
        row.wrong += len(wrong)
        row.leaked += len(leaked)
        faults = {"missing": missing, "wrong": wrong, "leaked": leaked}
        found = {fault: list(map(_described, spans)) for fault, spans in faults.items() if spans}
        assert found == {}
        assert any(map(of_an_instrumentor, self.made)), "the call made no span: a vacuous cell"


def call_inside_and_outside(
    call: Callable[[], None], spans: list[Any], way: Way = inside
) -> Outcome:
    """Make *call* inside a session and again outside; return the spans of both.

    *spans* is the list to which every started span is added. Spans of the application's own, made
    right before, inside and right after the block, are checked in the same way.
    """
    tracer = trace.get_tracer("an-application")
    first = len(spans)
    with tracer.start_as_current_span("before"):
        pass
    begin = len(spans)

    def call_and_mark() -> None:
        with tracer.start_as_current_span("inside"):
            pass
        call()

    way(call_and_mark, lambda: using_session(SESSION, user_id=USER))
    end = len(spans)
    assert not current()
    with tracer.start_as_current_span("after"):
        pass
    call()
    return Outcome(spans[begin:end], spans[first:begin] + spans[end:])


def ids(span: Any) -> tuple[Any, Any]:
    """Return the session and user that *span* carries."""
    return span.attributes.get("session.id"), span.attributes.get("user.id")


def of_an_instrumentor(span: Any) -> bool:
    """Whether an OpenInference instrumentor made *span*."""
    return span.instrumentation_scope.name.startswith("openinference.instrumentation")


def _described(span: Any) -> str:
    return f"{span.instrumentation_scope.name}: {span.name} {ids(span)}"


def faults_of(spans: Sequence[Any], expected: Callable[[Any], tuple[str, str]]) -> list[str]:
    """Return a line for each of *spans* that does not carry what is *expected* of it."""
    return [_described(span) for span in spans if ids(span) != expected(span)]
