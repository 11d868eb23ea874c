"""OpenAI: the span of a ``chat.completions.stream()`` that is left half-way does not end.

What it returns closes the HTTP response when the ``with`` is left, and not upstream's stream, whose
span then ends only when all is garbage collected; so does ``responses.stream()``. The repair ends
the span when they are closed.
"""

from collections.abc import Callable
from typing import Any

from clew.core.containment import contain
from clew.instrument.repairs import check_parameters
from clew.patching.wrap import Patches

MADE_FOR = ("openinference-instrumentation-openai>=0.1.66,<0.2", "openai>=2.8,<4")

_PLACES = {
    "openai.lib.streaming.chat": "ChatCompletionStream",
    "openai.lib.streaming.responses": "ResponseStream",
}


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Wrap what closes these streams."""
    from openinference.instrumentation.openai import _stream as upstream

    stream_class: Any = upstream._Stream
    check_parameters(stream_class._finish_tracing, "self", "status")

    def end(helper: Any) -> None:
        try:
            stream: Any = getattr(helper, "_raw_stream", None)
            if type(stream) is stream_class:
                stream._finish_tracing(status=None)
        except Exception:
            contain("ending the span of a stream of OpenAI's")

    def close(wrapped: Any, helper: Any, args: Any, kwargs: Any) -> Any:
        try:
            return wrapped(*args, **kwargs)
        finally:
            end(helper)

    async def close_async(wrapped: Any, helper: Any, args: Any, kwargs: Any) -> Any:
        try:
            return await wrapped(*args, **kwargs)
        finally:
            end(helper)

    patches = Patches()
    for module, name in _PLACES.items():
        patches.wrap(f"{module}:{name}", "close", close)
        patches.wrap(f"{module}:Async{name}", "close", close_async)
    return patches.undo
