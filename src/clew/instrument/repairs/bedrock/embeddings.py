"""Bedrock: an embedding through ``invoke_model`` is taken for the answer of a language model.

The repair says what it is, what was embedded, and into what.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clew.core.containment import contain
from clew.patching.wrap import Patches

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_EXTRACTING = "openinference.instrumentation.bedrock.utils._extract_invoke_model_attributes"
_TEXTS = ("inputText", "texts")
_VECTORS = ("embedding", "embeddings")
_ONE = "embedding.embeddings.{}.embedding."


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Follow upstream where it reads request and answer."""
    patches = Patches()
    patches.wrap(_EXTRACTING, "set_input_attributes", _asked)
    patches.wrap(_EXTRACTING, "set_response_attributes", _answered)
    return patches.undo


def _asked(wrapped: Any, _: Any, arguments: Any, named: Any) -> Any:
    result = wrapped(*arguments, **named)
    try:
        span, request, call = arguments
        model = str(call.get("modelId"))
        if "embed" in model:
            span.set_attributes(
                {
                    "openinference.span.kind": "EMBEDDING",
                    "embedding.model_name": model,
                    **dict(_listed(request, _TEXTS, "text")),
                }
            )
    except Exception:
        contain("reading the request for an embedding")
    return result


def _answered(wrapped: Any, _: Any, arguments: Any, named: Any) -> Any:
    result = wrapped(*arguments, **named)
    try:
        span, call, answer, _response = arguments
        if "embed" in str(call.get("modelId")):
            span.set_attribute("openinference.span.kind", "EMBEDDING")
            span.set_attributes(dict(_listed(answer, _VECTORS, "vector")))
    except Exception:
        contain("reading an embedding")
    return result


def _listed(
    said: Mapping[str, Any], names: tuple[str, ...], what: str
) -> Iterator[tuple[str, Any]]:
    """Yield each text or vector, whether one is given or several."""
    found: Any = next((said[name] for name in names if said.get(name)), [])
    several = isinstance(found, list) and (not found or isinstance(found[0], list | str))
    for number, one in enumerate(found if several else [found]):
        yield _ONE.format(number) + what, one
