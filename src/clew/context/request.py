"""Restores the context of a request that is being served, where an instrumentation loses it.

OpenTelemetry's instrumentations of web servers start their span in a context that is made from the
request's headers alone. What a middleware around them had put into the context is missing there.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import SpanKind, get_current_span

R = TypeVar("R")

IN_BLOCK = "clew.entry"
"""The context key of the innermost block's entry, which a context has that descends from one."""


@dataclass(slots=True, eq=False)
class _Request:
    context: Context | None
    """None once it was restored, and when the request is over."""


_request: ContextVar[_Request | None] = ContextVar("clew.request", default=None)

pending_request = _request.get
"""Returns None where no request is being served. Each span asks this, so it is no function."""


@contextmanager
def remember_request_context() -> Iterator[None]:
    """Remember the current context as that of a request, until the ``with`` block ends."""
    request, before = _Request(get_current()), _request.get()
    _request.set(request)
    try:
        yield
    finally:
        request.context = None  # Also for tasks that were started inside and are still running.
        if _request.get() is request:
            _request.set(before)


class ContextOfServer:
    """The context in which a server has started a request, for what it does on its behalf.

    A server may start the next request of a connection while it takes the last message of this one,
    and it may begin to read the connection again while it is asked for a message. What it starts
    has a copy of the context there, in which the ids of this request would be those of the next.
    """

    __slots__ = ("_context", "_request")

    def __init__(self) -> None:
        self._context, self._request = get_current(), _request.get()

    def outside(self, function: Callable[..., Awaitable[R]]) -> Callable[..., Awaitable[R]]:
        """Return *function* so that it runs in this context."""

        async def call(*args: object) -> R:
            context, request, is_closed = get_current(), _request.get(), False
            self.enter()
            try:
                return await function(*args)
            except GeneratorExit:
                is_closed = True  # Perhaps by the garbage collector, in the context of another.
                raise
            finally:
                if not is_closed:
                    attach(context)
                    _request.set(request)

        return call

    def enter(self) -> None:
        """Enter this context for as long as the task runs."""
        attach(self._context)
        _request.set(self._request)


_of_server: ContextVar[ContextOfServer | None] = ContextVar("clew.server", default=None)


def begin_request() -> None:
    """Note the context in which a server starts a request; inside of another request, enter its.

    OpenTelemetry's middleware, too, leaves its span in the context in which the next one starts.
    """
    if (of_server := _of_server.get()) is not None:
        of_server.enter()
    else:
        _of_server.set(ContextOfServer())


def restore_request_context(kind: object) -> None:
    """Merge the request's context into the current one, if *kind* is SERVER and it is missing.

    The instrumentation undoes this when it detaches what it attached a moment before; if it does
    not, the middleware does. It is done once for each request: another SERVER span that starts from
    an empty context belongs to something else.
    """
    if kind is not SpanKind.SERVER or (request := _request.get()) is None:
        return
    context, current = request.context, get_current()
    if context is not None and IN_BLOCK not in current:
        request.context = None
        attach(Context({**context, **current}))


def with_request_context(current: Context) -> Context:
    """Return the context *current*, with the request's where a span that is not sampled hides it.

    No processor hears of such a span, so nothing can be restored when it starts.
    """
    if (request := _request.get()) is None or (context := request.context) is None:
        return current
    if IN_BLOCK in current:
        return current  # As nearly always.
    span = get_current_span(current)
    of_span = span.get_span_context()
    if span.is_recording() or not of_span.is_valid or of_span.is_remote:
        return current
    return Context({**context, **current})
