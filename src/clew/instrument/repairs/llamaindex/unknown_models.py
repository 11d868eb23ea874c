"""LlamaIndex: the span of a model that LlamaIndex does not know never ends, and stays current.

Upstream opens the span, makes it the current one and then reads the model's metadata, which raises
``ValueError`` where the name is unknown. LlamaIndex swallows that, and nobody knows the span any
more: what the application traces next becomes its child. The repair reads what can be read.
"""

from collections.abc import Callable
from typing import Any

from clew.patching.wrap import wrap_functions

MADE_FOR = (
    "openinference-instrumentation-llama-index>=4.6.1,<5",
    "llama-index-core>=0.14.19,<0.15",
)


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Let upstream's span be known, whatever its model says of itself."""
    from openinference.instrumentation.llama_index import (
        _handler as handler,
    )

    def process_instance(original: Any, span: Any, arguments: Any, named: Any) -> None:
        try:
            original(*arguments, **named)
        except Exception:  # The model's own code; the call itself will raise it
            name = getattr(arguments[0], "model", None)
            if isinstance(name, str):
                span["llm.model_name"] = name

    return wrap_functions(handler, {"_Span.process_instance": process_instance})
