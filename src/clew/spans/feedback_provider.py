"""Where feedback goes: the tracer provider that `instrument_all` was given or has made."""

from opentelemetry import trace

from clew.patching.undo import UndoStack

_provider: trace.TracerProvider | None = None


def send_feedback_to(provider: trace.TracerProvider, undo: UndoStack) -> None:
    """Let `feedback` make its spans with *provider*, until *undo* is called."""
    global _provider
    undo.add(_forget_provider)
    _provider = provider


def feedback_provider() -> trace.TracerProvider:
    """Return the tracer provider with which `feedback` makes its spans."""
    return _provider or trace.get_tracer_provider()


def _forget_provider() -> None:
    global _provider
    _provider = None
