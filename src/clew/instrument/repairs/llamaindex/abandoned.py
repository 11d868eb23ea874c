"""LlamaIndex: the spans of a streaming query that is abandoned half-way never end.

Upstream ends them when the stream is exhausted, is closed or raises, but not when it is garbage
collected; and if it is closed, upstream sets the status to OK. The repair ends the spans when the
stream is collected, as Python closes an abandoned generator, and leaves the status unset in both
cases.
"""

from collections.abc import Callable
from typing import Any

from clew.core.containment import contain
from clew.instrument.repairs.llamaindex.streams import mark_unfinished
from clew.patching.undo import UndoStack
from clew.patching.wrap import wrap_functions

MADE_FOR = (
    "openinference-instrumentation-llama-index>=4.6.1,<5",
    "llama-index-core>=0.14.19,<0.15",
)


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Give upstream's stream class a finalizer, and mark streams that are closed."""
    from openinference.instrumentation.llama_index import (
        _stream as streams,
    )

    stream_class: Any = streams._ResponseStream
    wrappers = {"_finish": _on_finish, "_close": _on_close, "_aclose": _on_close}
    unwrap = wrap_functions(
        streams, {f"_ResponseStream.{name}": it for name, it in wrappers.items()}
    )
    stream_class.__del__ = _on_collected

    def undo() -> None:
        if vars(stream_class).get("__del__") is _on_collected:
            del stream_class.__del__

    return UndoStack("undoing the repair of LlamaIndex's streams", undo, unwrap).undo


def _on_close(wrapped: Any, stream: Any, args: Any, kwargs: Any) -> Any:
    stream._self_unfinished = True  # clew's attribute on upstream's proxy
    return wrapped(*args, **kwargs)


def _on_finish(wrapped: Any, stream: Any, args: Any, kwargs: Any) -> Any:
    error = args[0] if args else kwargs.get("exception")
    try:
        if getattr(stream, "_self_unfinished", False) or isinstance(error, GeneratorExit):
            mark_unfinished(stream._self_finish.__self__)  # Upstream's span
    except Exception:
        contain("marking an abandoned stream")
    return wrapped(*args, **kwargs)


def _on_collected(stream: Any) -> None:
    try:
        stream._self_unfinished = True
        stream._finish()  # Upstream's own method, which acts once
    except Exception:
        contain("ending an abandoned stream")
