"""LlamaIndex: the spans of a streaming query that is abandoned half-way never end.

Upstream ends them when the stream is exhausted, closed or raises; not when it is forgotten, and
where it is closed it calls that a success. The repair ends them when the stream is collected, as
Python closes a forgotten generator, and leaves the status of either unset.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from clew.core.containment import contain
from clew.instrument.repairs.llamaindex.streams import mark_left
from clew.patching.import_hooks import undo_all
from clew.patching.wrap import wrap_functions

MADE_FOR = (
    "openinference-instrumentation-llama-index>=4.6.1,<5",
    "llama-index-core>=0.14.19,<0.15",
)


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Give upstream's stream a finalizer, and let it know when it is closed."""
    from openinference.instrumentation.llama_index import (
        _stream as streams,
    )

    owner: Any = streams._ResponseStream
    methods = {"_finish": _finish, "_close": _close, "_aclose": _close}
    unwrap = wrap_functions(
        streams, {f"_ResponseStream.{name}": it for name, it in methods.items()}
    )
    owner.__del__ = _forget

    def undo() -> None:
        if vars(owner).get("__del__") is _forget:
            del owner.__del__

    return partial(undo_all, [undo, unwrap], "forgetting LlamaIndex's streams")


def _close(upstream: Any, stream: Any, arguments: Any, named: Any) -> Any:
    stream._self_left = True  # Ours, on upstream's proxy
    return upstream(*arguments, **named)


def _finish(upstream: Any, stream: Any, arguments: Any, named: Any) -> Any:
    error = arguments[0] if arguments else named.get("exception")
    try:
        if getattr(stream, "_self_left", False) or isinstance(error, GeneratorExit):
            mark_left(stream._self_finish.__self__)  # Upstream's span
    except Exception:
        contain("leaving a stream")
    return upstream(*arguments, **named)


def _forget(stream: Any) -> None:
    try:
        stream._self_left = True
        stream._finish()  # Upstream's own end, which happens once
    except Exception:
        contain("ending an abandoned stream")
