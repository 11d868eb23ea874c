"""Keeps the ids where another product's runtime context would drop them.

OpenTelemetry's context is kept by what ``OTEL_PYTHON_CONTEXT`` names. Datadog's, in force with
``DD_TRACE_OTEL_ENABLED``, keeps the current span and baggage, and nothing else that is attached:
neither clew's blocks nor OpenInference's have any effect there. Where that is so, what they attach
is kept in a context variable beside it. Any other runtime context is left as it is.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token, copy_context
from typing import Any, NamedTuple

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

from clew.context.identity import CARRIED
from clew.core.containment import contain

_CARRIED = frozenset(CARRIED)
_OWN_PREFIX = "clew."
_PROBE = "clew.probe"
_VARIABLE = "_RUNTIME_CONTEXT"

_beside: ContextVar[Context | None] = ContextVar("clew.beside", default=None)


def keep_ids_beside() -> Callable[[], None]:
    """Keep the ids beside a runtime context that drops them; return what undoes it."""
    # Nothing public leads to the runtime context, which OpenTelemetry chooses once.
    runtime = getattr(otel, _VARIABLE, None)
    if runtime is None or copy_context().run(_keeps_what_is_attached):
        return lambda: None
    extended = RuntimeContextWithIds(runtime)
    setattr(otel, _VARIABLE, extended)

    def stop() -> None:
        if getattr(otel, _VARIABLE) is extended:
            setattr(otel, _VARIABLE, runtime)

    return stop


def _keeps_what_is_attached() -> bool:
    """Whether the runtime context keeps any key; to be tried out in a copy of the context."""
    try:
        otel.attach(otel.set_value(_PROBE, True))  # noqa: FBT003 - any value will do
        return otel.get_value(_PROBE) is True
    except Exception:  # The boundary to another product
        contain("looking at the runtime context")
        return True


class _Attached(NamedTuple):
    """What `detach` needs: the other runtime context's token, and how it was before."""

    token: Any
    before: Context
    beside: Token[Context | None]


class RuntimeContextWithIds:
    """A runtime context, and beside it the ids, which it would drop."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def get_current(self) -> Context:
        """Return what the original keeps, and the ids that were attached."""
        current: Context = self.original.get_current()
        beside = _beside.get()
        return Context({**beside, **current}) if beside else current

    def attach(self, context: Context) -> Any:
        """Attach *context* to the original, and keep its ids."""
        before = self.original.get_current()
        token = self.original.attach(context)
        kept = {
            key: value
            for key, value in context.items()
            if key in _CARRIED or key.startswith(_OWN_PREFIX)
        }
        return _Attached(token, before, _beside.set(Context(kept)))

    def detach(self, token: Any) -> None:
        """Undo `attach`.

        Datadog's leaves it to the end of a span to make the one before current again. A generator
        that runs in another context step by step does not end one, and would leave its span to
        the consumer; so the span before is attached again where it is another.
        """
        if not isinstance(token, _Attached):  # Attached before the ids were kept.
            self.original.detach(token)
            return
        _beside.reset(token.beside)
        self.original.detach(token.token)
        if _span_of(token.before) != _span_of(self.original.get_current()):
            self.original.attach(token.before)

    def __getattr__(self, name: str) -> Any:
        """Return what the original has besides."""
        if name == "original":  # Not set yet, as while it is being copied.
            raise AttributeError(name)
        return getattr(self.original, name)


def _span_of(context: Context) -> object:
    return get_current_span(context).get_span_context()
