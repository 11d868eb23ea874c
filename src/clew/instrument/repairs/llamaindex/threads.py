"""LlamaIndex: each activation leaves a thread behind, which looks at its queue ten times a second.

Upstream ends the thread when the queue is collected, and the thread itself refers to the queue, so
that it never is. The repair ends the thread when the instrumentor is deactivated, unless there are
streams whose spans it still has to end.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from clew.core.containment import contain

MADE_FOR = (
    "openinference-instrumentation-llama-index>=4.6.1,<5",
    "llama-index-core>=0.14.19,<0.15",
)


def repair(instrumentor: Any) -> Callable[[], None]:
    """Return what ends the thread of this activation."""
    from openinference.instrumentation.llama_index._handler import END_OF_QUEUE

    handler = getattr(instrumentor, "_span_handler", None)
    if handler is None:  # It was asked for the callbacks of old, which have no thread.
        return lambda: None
    return partial(_end, handler._export_queue, END_OF_QUEUE)


def _end(waiting: Any, end: object) -> None:
    try:
        if not waiting.spans:
            waiting.queue.put(end)
    except Exception:
        contain("ending a thread of LlamaIndex's instrumentor")
