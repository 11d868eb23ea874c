"""Bedrock: the tokens of cached prompts are missing or half counted, and placeholders are counted.

OpenInference's prompt count includes what was read from and written to the cache; Bedrock's own
does not. Upstream adds it for ``converse`` and for Claude, but not for Nova, whose total it uses
all the same; it omits the cache details when Claude streams, and always omits a total for Claude.
And if a stream of Claude's is abandoned, it reports one token of output.

Nova's ``inputTokens`` does not include the cached tokens: Bedrock's user guide says so of all
models ("Prompt caching": the whole prompt is ``inputTokens`` plus what was read from the cache and
written to it), and ``converse`` counts so: 18 new, 7,502 written, 386 of output make 7,906.
Recorded responses of Nova's to ``invoke_model`` have ``totalTokens``, its streams do not, and none
of them used the cache. That they count like ``converse`` is therefore assumed, unless a total equal
to ``inputTokens`` plus ``outputTokens`` shows that the former includes the cached tokens.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from clew.core.containment import contain
from clew.patching.wrap import wrap_in_modules

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_UPSTREAM = "openinference.instrumentation.bedrock"
_CLAUDE = f"{_UPSTREAM}.utils.anthropic._attributes"
_CLAUDE_STREAM = f"{_UPSTREAM}.utils.anthropic._messages"
_INVOKE = f"{_UPSTREAM}.utils._extract_invoke_model_attributes"
_STREAM = f"{_UPSTREAM}._wrappers"

_TOKENS = "llm.token_count."
_Names = tuple[str, str, str, str]
"""The keys for the tokens of the uncached prompt, of the output, read from the cache, and
written to it."""
_CLAUDE_NAMES: _Names = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_NOVA_NAMES: _Names = (
    "inputTokens",
    "outputTokens",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
)
_STREAM_NAMES: _Names = (
    "inputTokenCount",
    "outputTokenCount",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
)


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Set the token counts again, after upstream has."""
    return wrap_in_modules(
        {
            _CLAUDE: {"set_response_attributes": _claude_response},
            _INVOKE: {"_set_nova_body_token_attributes": _nova_response},
            _CLAUDE_STREAM: {"_AnthropicMessagesCallback.__call__": _claude_stream},
            _STREAM: {"_NovaStreamCallback.__call__": _nova_stream},
        }
    )


def set_token_counts(span: Any, source: Any, names: _Names = _STREAM_NAMES) -> None:
    """Set the token counts in *source* on *span*. Does not raise."""
    try:
        if isinstance(source, Mapping):
            span.set_attributes(_token_counts(source, names))
    except Exception:
        contain("counting the tokens of a Bedrock call")


def _token_counts(source: Mapping[str, Any], names: _Names) -> dict[str, int]:
    uncached, output, read, written = (source.get(name) for name in names)
    if not isinstance(uncached, int):
        return {}
    cached = (read or 0) + (written or 0)
    counts = {"prompt": uncached + cached}
    if isinstance(output, int):
        total = source.get("totalTokens")
        if total == uncached + output and cached <= uncached:  # Both include the cached tokens.
            counts["prompt"] = uncached
        if not isinstance(total, int) or total == uncached + output:
            total = counts["prompt"] + output
        counts |= {"completion": output, "total": total}
    if read is not None:
        counts["prompt_details.cache_read"] = read
    if written is not None:
        counts["prompt_details.cache_write"] = written
    return {_TOKENS + name: value for name, value in counts.items()}


def _claude_response(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    span, body = args
    set_token_counts(span, body.get("usage"), _CLAUDE_NAMES)
    return result


def _nova_response(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    span, body = args
    set_token_counts(span, body.get("usage"), _NOVA_NAMES)
    return result


def _claude_stream(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    (event,) = args
    message = instance._snapshot  # Upstream's state
    if isinstance(event, BaseException) and message is not None:
        try:
            usage = message.usage
            if message.stop_reason is None:
                # The number of output tokens comes at the end, together with the stop reason.
                # Until then it is a placeholder, 0 or 1.
                usage.output_tokens = None
            set_token_counts(instance._span, vars(usage), _CLAUDE_NAMES)
        except Exception:
            contain("counting the tokens of a Bedrock call")
    return wrapped(*args, **kwargs)


def _nova_stream(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    (event,) = args
    chunk = event.get("chunk", {}).get("bytes", b"") if isinstance(event, dict) else b""
    if b'"usage"' in chunk:
        set_token_counts(instance._span, _usage_in(chunk), _NOVA_NAMES)  # Upstream's state
    return result


def _usage_in(chunk: bytes) -> Any:
    try:
        return json.loads(chunk)["metadata"]["usage"]
    except (ValueError, LookupError, TypeError):  # The chunk is text that contains "usage".
        return None
