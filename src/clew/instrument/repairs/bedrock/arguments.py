"""Bedrock: a call with wrong arguments raises an error of upstream's, instead of botocore's.

Upstream reads the arguments of `converse_stream`, `retrieve` and `retrieve_and_generate` before
botocore has checked them, and nothing catches what that raises: a ``KeyError`` for a missing
argument, and of a `converse_stream` there is not even a span. The repair leaves out what cannot be
read, so that the call is made, and botocore says what is wrong.
"""

from collections.abc import Callable
from typing import Any

from clew.patching.wrap import wrap_in_modules

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2",)

_UPSTREAM = "openinference.instrumentation.bedrock"
_EXTRACTOR = "AttributeExtractor.extract_bedrock"


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Wrap what reads the arguments."""
    retriever = _readable_or_only("RETRIEVER")
    return wrap_in_modules(
        {
            f"{_UPSTREAM}._wrappers": {
                "get_attributes_from_request_data": _readable_or_only("LLM")
            },
            f"{_UPSTREAM}._attribute_extractor": {
                f"{_EXTRACTOR}_retrieve_input_attributes": retriever,
                f"{_EXTRACTOR}_rag_input_attributes": retriever,
            },
        }
    )


def _readable_or_only(kind: str) -> Callable[..., Any]:
    def wrapper(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            return wrapped(*args, **kwargs)
        except Exception:  # The call itself will raise
            return {"openinference.span.kind": kind}

    return wrapper
