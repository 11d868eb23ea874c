"""What is asserted of every cell, whatever it calls."""

from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry import trace

from clew import current, using_session
from tests.landing.ways import Way, inside

SESSION, USER = "chat-42", "ada"


def land(call: Callable[[], None], spans: list[Any], way: Way = inside) -> int:
    """Make *call* inside a session and again outside; return how many spans that made.

    *spans* is the list to which every started span is added. Spans of the application's own, made
    right before, inside and right after the block, are held to the same.
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
    made, outside = spans[begin:end], spans[first:begin] + spans[end:]
    check(made, outside)
    return len(made) + len(outside)


def check(made: Sequence[Any], outside: Sequence[Any]) -> None:
    """Assert that all that was *made* inside carries the ids, and nothing *outside* does."""
    faults = [
        *(f"missing: {_described(it)}" for it in made if None in ids(it)),
        *(f"wrong: {_described(it)}" for it in made if None not in ids(it) != (SESSION, USER)),
        *(f"leaked: {_described(it)}" for it in outside if {SESSION, USER} & set(ids(it))),
    ]
    assert faults == []
    assert any(map(of_an_instrumentor, made)), "the call made no span: a vacuous cell"


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
