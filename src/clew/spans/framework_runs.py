"""Finds the parent of a span inside a run whose framework does not make its span current.

LangChain starts the spans of its runs in callbacks, where it cannot attach them to the context of
the run. So the run itself is stored in the context there, and looked up when another span starts. A
run that is over has no span, so an entry that was left behind does no harm.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from opentelemetry.context import Context, attach, get_current, get_value, set_value
from opentelemetry.trace import Span, get_current_span, set_span_in_context

_KEY = "clew.run"


class _Run(NamedTuple):
    """A run of a framework, as it is stored in the context."""

    key: object
    find_span: Callable[[], Span | None]
    """Returns its span; None when the run is over."""
    span_before: Span
    """The current span when the run began. Any other one has started inside the run."""
    outer: "_Run | None"
    is_waiting: bool
    """Whether it has begun together with others, and works only when it is attached again."""


def attach_run(
    key: object, find_span: Callable[[], Span | None], *, is_waiting: bool = False
) -> None:
    """Store in the current context that the run with this *key* is in progress from now on."""
    attach(context_with_run(key, find_span, is_waiting=is_waiting))


def context_with_run(
    key: object, find_span: Callable[[], Span | None], *, is_waiting: bool = False
) -> Context:
    """Return the current context with the run stored in it."""
    context = get_current()
    outer = _innermost_run(context)
    if outer is not None and outer.key == key:
        outer = outer.outer
    run = _Run(key, find_span, get_current_span(context), outer, is_waiting)
    return set_value(_KEY, run, context)


def context_outside_waiting_runs() -> Context:
    """Return the current context outside the runs that do not work yet."""
    context = get_current()
    innermost = run = _innermost_run(context)
    while run is not None and run.is_waiting:
        run = run.outer
    return context if run is innermost else set_value(_KEY, run, context)


def end_run(key: object) -> None:
    """Store in the current context that the run with this *key* is over."""
    context = get_current()
    run: Any = context.get(_KEY)
    if isinstance(run, _Run) and run.key == key:
        attach(set_value(_KEY, run.outer, context))


def current_run_span() -> Span | None:
    """Return the span of the innermost run in progress."""
    run = _innermost_run(get_current())
    return run.find_span() if run is not None else None


def context_inside_run(context: Context | None) -> Context | None:
    """Return the context for a span that is to start in *context*: inside the run stored there."""
    if get_value(_KEY, context) is None:
        return context
    given = get_current() if context is None else context
    run = _innermost_run(given)
    if run is None or get_current_span(given) is not run.span_before:
        return context
    span = run.find_span()
    return context if span is None else set_span_in_context(span, given)


def _innermost_run(context: Context) -> _Run | None:
    """Return the innermost run that is not over."""
    run: Any = context.get(_KEY)
    while isinstance(run, _Run) and run.find_span() is None:
        run = run.outer
    return run if isinstance(run, _Run) else None
