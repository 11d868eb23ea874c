"""Takes the context along into threads, by OpenTelemetry's own instrumentation of ``threading``."""

from collections.abc import Callable

from opentelemetry.instrumentation.threading import ThreadingInstrumentor


def follow_threads() -> Callable[[], None]:
    """Let new threads and thread pools start in the context they are started from.

    Return what undoes it: nothing, where the application had it on already.
    """
    instrumentor = ThreadingInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        return lambda: None
    instrumentor.instrument(skip_dep_check=True)
    undo: Callable[[], None] = instrumentor.uninstrument
    return undo
