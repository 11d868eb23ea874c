"""Where a span belongs that starts inside a run whose framework does not make its span current.

LangChain starts the spans of its runs in callbacks, from where it cannot attach them to the context
of the run. So the run itself is noted there, and looked up when another span starts: a run that is
over has no span any more, and a note that was left behind does no harm.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from opentelemetry.context import Context, attach, get_current, get_value, set_value
from opentelemetry.trace import Span, get_current_span, set_span_in_context

_KEY = "clew.run"


class _Run(NamedTuple):
    """A run of a framework, noted in the context."""

    key: object
    span: Callable[[], Span | None]
    """Find its span; None when the run is over."""
    beside: Span
    """What was the current span when the run began. Any other one has started inside the run."""
    outer: "_Run | None"
    waits: bool
    """Whether it has begun together with others, and works when it is noted again."""


def note(key: object, span: Callable[[], Span | None], *, waits: bool = False) -> None:
    """Note that the run named *key* is what the current context works on from now on."""
    attach(noted(key, span, waits=waits))


def noted(key: object, span: Callable[[], Span | None], *, waits: bool = False) -> Context:
    """Return the current context with that note."""
    context = get_current()
    outer = _live(context)
    if outer is not None and outer.key == key:
        outer = outer.outer
    run = _Run(key, span, get_current_span(context), outer, waits)
    return set_value(_KEY, run, context)


def beside_waiting_runs() -> Context:
    """Return the current context outside the runs that do not work yet."""
    context = get_current()
    noted_last = run = _live(context)
    while run is not None and run.waits:
        run = run.outer
    return context if run is noted_last else set_value(_KEY, run, context)


def forget(key: object) -> None:
    """Note that the run named *key* is over."""
    context = get_current()
    run: Any = context.get(_KEY)
    if isinstance(run, _Run) and run.key == key:
        attach(set_value(_KEY, run.outer, context))


def current_span_of_a_run() -> Span | None:
    """Return the span of the innermost run that is going on here."""
    run = _live(get_current())
    return run.span() if run is not None else None


def nested(context: Context | None) -> Context | None:
    """Return the context for a span that is to start in *context*: inside the run noted there."""
    if get_value(_KEY, context) is None:
        return context
    given = get_current() if context is None else context
    run = _live(given)
    if run is None or get_current_span(given) is not run.beside:
        return context
    span = run.span()
    return context if span is None else set_span_in_context(span, given)


def _live(context: Context) -> _Run | None:
    run: Any = context.get(_KEY)
    while isinstance(run, _Run) and run.span() is None:
        run = run.outer
    return run if isinstance(run, _Run) else None
