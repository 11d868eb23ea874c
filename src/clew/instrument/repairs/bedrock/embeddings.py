"""Bedrock: an embedding through ``invoke_model`` gets the span of a language model.

Upstream treats every model as a language model. The repair sets the span's kind, the model, the
texts and the vectors.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clew.core.containment import contain
from clew.patching.wrap import Patches

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_EXTRACTION = "openinference.instrumentation.bedrock.utils._extract_invoke_model_attributes"
_TEXTS = ("inputText", "texts")
_VECTORS = ("embedding", "embeddings")
_ATTRIBUTE = "embedding.embeddings.{}.embedding."


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Wrap the functions of upstream that read the request and the response."""
    patches = Patches()
    patches.wrap(_EXTRACTION, "set_input_attributes", _set_input_attributes)
    patches.wrap(_EXTRACTION, "set_response_attributes", _set_response_attributes)
    return patches.undo


def _set_input_attributes(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    try:
        span, request_body, request = args
        model = str(request.get("modelId"))
        if "embed" in model:
            span.set_attributes(
                {
                    "openinference.span.kind": "EMBEDDING",
                    "embedding.model_name": model,
                    **dict(_indexed(request_body, _TEXTS, "text")),
                }
            )
    except Exception:
        contain("reading an embedding request")
    return result


def _set_response_attributes(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    try:
        span, request, response_body, _response = args
        if "embed" in str(request.get("modelId")):
            span.set_attribute("openinference.span.kind", "EMBEDDING")
            span.set_attributes(dict(_indexed(response_body, _VECTORS, "vector")))
    except Exception:
        contain("reading an embedding response")
    return result


def _indexed(
    body: Mapping[str, Any], names: tuple[str, ...], attribute: str
) -> Iterator[tuple[str, Any]]:
    """Yield an attribute for each text or vector, of which *body* has one or a list."""
    value: Any = next((body[name] for name in names if body.get(name)), [])
    is_list = isinstance(value, list) and (not value or isinstance(value[0], list | str))
    for index, item in enumerate(value if is_list else [value]):
        yield _ATTRIBUTE.format(index) + attribute, item
