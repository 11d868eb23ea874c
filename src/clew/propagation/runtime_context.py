"""Keeps the ids in the context where another product's runtime context would drop them.

OpenTelemetry's context is stored by the runtime context that ``OTEL_PYTHON_CONTEXT`` names.
Datadog's, which ``DD_TRACE_OTEL_ENABLED`` selects, keeps the current span and baggage, and nothing
else that is attached: neither clew's blocks nor OpenInference's have any effect there. Where that
is so, what they attach is kept in a context variable of clew's. Any other runtime context is left
as it is.
"""

from contextvars import ContextVar, Token, copy_context
from typing import Any, NamedTuple

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

from clew.context.ids import CONTEXT_KEYS
from clew.core import otel_private
from clew.core.containment import contain
from clew.patching.undo import UndoStack

_CARRIED = frozenset(CONTEXT_KEYS)
_OWN_PREFIX = "clew."
_PROBE = "clew.probe"

_ids: ContextVar[Context | None] = ContextVar("clew.ids", default=None)


def extend_runtime_context(undo: UndoStack) -> None:
    """Let a runtime context that drops the ids keep them."""
    runtime = otel_private.runtime_context()
    if runtime is None or copy_context().run(_keeps_any_key):
        return
    extended = RuntimeContextWithIds(runtime)

    def stop() -> None:
        if otel_private.runtime_context() is extended:
            otel_private.set_runtime_context(runtime)

    undo.add(stop)
    otel_private.set_runtime_context(extended)


def _keeps_any_key() -> bool:
    """Whether the runtime context keeps any key; to be called in a copy of the context."""
    try:
        otel.attach(otel.set_value(_PROBE, True))  # noqa: FBT003 - any value will do
        return otel.get_value(_PROBE) is True
    except Exception:  # Another product's code
        contain("checking the runtime context")
        return True


class _Attached(NamedTuple):
    """What `detach` needs: the original runtime context's token, and its context before."""

    token: Any
    before: Context
    ids_token: Token[Context | None]


class RuntimeContextWithIds:
    """Another product's runtime context, extended by the ids, which it would drop."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def get_current(self) -> Context:
        """Return the context that the original keeps, with the ids that were attached."""
        current: Context = self.original.get_current()
        ids = _ids.get()
        return Context({**ids, **current}) if ids else current

    def attach(self, context: Context) -> Any:
        """Attach *context* to the original, and keep its ids."""
        before = self.original.get_current()
        token = self.original.attach(context)
        kept = {
            key: value
            for key, value in context.items()
            if key in _CARRIED or key.startswith(_OWN_PREFIX)
        }
        return _Attached(token, before, _ids.set(Context(kept)))

    def detach(self, token: Any) -> None:
        """Undo `attach`.

        Datadog's makes the span before current again only when a span ends. A generator that runs
        in another context step by step does not end its span, which would stay current for the
        consumer; so the span before is attached again where it is another one.
        """
        if not isinstance(token, _Attached):  # Attached before the ids were kept.
            self.original.detach(token)
            return
        _ids.reset(token.ids_token)
        self.original.detach(token.token)
        if _span_of(token.before) != _span_of(self.original.get_current()):
            self.original.attach(token.before)

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of the original."""
        if name == "original":  # Not set yet, as while it is being copied.
            raise AttributeError(name)
        return getattr(self.original, name)


def _span_of(context: Context) -> object:
    return get_current_span(context).get_span_context()
