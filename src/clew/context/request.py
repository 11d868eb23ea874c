"""A request that is being served: its context, put back where an instrumentation loses it.

OpenTelemetry's instrumentations of web servers open their span in a context that they make from
the request's headers alone. What a middleware around them had put into the context is gone there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import SpanKind

from clew.context.blocks import in_block


@dataclass(slots=True, eq=False)
class _Request:
    context: Context | None
    """None once it was put back, and when the request is over."""


_request: ContextVar[_Request | None] = ContextVar("clew.request", default=None)


@contextmanager
def served() -> Iterator[None]:
    """Remember the current context, in a block around it, as that of a request."""
    request, before = _Request(get_current()), _request.get()
    _request.set(request)
    try:
        yield
    finally:
        request.context = None  # Also for tasks that were started meanwhile and go on.
        if _request.get() is request:
            _request.set(before)


def put_back(kind: object) -> None:
    """Put the request's context under the current one, where that has lost it.

    What is attached here is undone by the instrumentation, when it detaches what it attached a
    moment before, and at the latest by the middleware. Once for each request: another SERVER span
    that starts from an empty context belongs to something else.
    """
    if kind is not SpanKind.SERVER or (request := _request.get()) is None:
        return
    lost, now = request.context, get_current()
    if lost is not None and not in_block(now):
        request.context = None
        attach(Context({**lost, **now}))
