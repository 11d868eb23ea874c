"""LlamaIndex: the spans of a streaming query that is abandoned half-way never end.

Upstream ends them when the stream is exhausted, closed or raises; not when it is forgotten. The
repair ends them when it is collected, as Python closes a forgotten generator.
"""

from collections.abc import Callable
from typing import Any

from clew.boundary import contain

MADE_FOR = (
    "openinference-instrumentation-llama-index>=4.6.1,<5",
    "llama-index-core>=0.14.19,<0.15",
)


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Give upstream's stream a finalizer."""
    from openinference.instrumentation.llama_index import (  # noqa: PLC0415 - not at module level
        _stream as streams,
    )

    owner: Any = streams._ResponseStream  # noqa: SLF001 - upstream's class
    owner.__del__ = _finish

    def undo() -> None:
        if vars(owner).get("__del__") is _finish:
            del owner.__del__

    return undo


def _finish(stream: Any) -> None:
    try:
        stream._finish()  # noqa: SLF001 - upstream's own end, which happens once
    except Exception:  # noqa: BLE001 - the boundary to the application
        contain("ending an abandoned stream")
