"""LlamaIndex: the span of a model that LlamaIndex does not know never ends, and stays current.

Upstream opens the span, makes it the current one and then reads the model's metadata, which raises
``ValueError`` if the model's name is unknown. LlamaIndex swallows that error, and nothing refers to
the span any more: what the application traces next becomes its child. The repair reads only the
model's name then.
"""

from collections.abc import Callable
from typing import Any

from clew.patching.wrap import wrap_functions

MADE_FOR = (
    "openinference-instrumentation-llama-index>=4.6.1,<5",
    "llama-index-core>=0.14.19,<0.15",
)


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Let upstream register the span even if the metadata of its model cannot be read."""
    from openinference.instrumentation.llama_index import (
        _handler as handler,
    )

    def process_instance(wrapped: Any, span: Any, args: Any, kwargs: Any) -> None:
        try:
            wrapped(*args, **kwargs)
        except Exception:  # From the model's own code; a call that needs it raises it again
            name = getattr(args[0], "model", None)
            if isinstance(name, str):
                span["llm.model_name"] = name

    return wrap_functions(handler, {"_Span.process_instance": process_instance})
