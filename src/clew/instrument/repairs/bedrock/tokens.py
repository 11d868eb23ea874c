"""Bedrock: the tokens of cached prompts are missing or half counted, and placeholders are counted.

OpenInference's prompt count is with what was read from and written to the cache, which Bedrock's
own is not. Upstream adds it up for ``converse`` and for Claude, but not for Nova, whose total it
takes over all the same; it forgets the details where Claude streams, and a total for Claude at all.
And of a stream of Claude's that is left early it says that the answer had one token.

That what was cached is not among Nova's ``inputTokens`` is what Bedrock's user guide says of all
models ("Prompt caching": the whole prompt is ``inputTokens`` and what was read from the cache and
written to it), and ``converse`` counts so: 18 new, 7,502 written, 386 answered make 7,906. Recorded
answers of Nova's to ``invoke_model`` state ``totalTokens``, its streams do not, and in none of them
was anything cached. That they count like ``converse`` is therefore assumed, unless a total that is
no more than ``inputTokens`` and ``outputTokens`` says that what was cached is among the former.
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

_COUNT = "llm.token_count."
_Names = tuple[str, str, str, str]
"""How a source calls the tokens of the prompt, the answer, and those read from the cache and
written to it."""
_OF_CLAUDE: _Names = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_OF_NOVA: _Names = (
    "inputTokens",
    "outputTokens",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
)
_OF_STREAMS: _Names = (
    "inputTokenCount",
    "outputTokenCount",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
)


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Count once more, after upstream has."""
    return wrap_in_modules(
        {
            _CLAUDE: {"set_response_attributes": _whole_of_claude},
            _INVOKE: {"_set_nova_body_token_attributes": _whole_of_nova},
            _CLAUDE_STREAM: {"_AnthropicMessagesCallback.__call__": _claude_streams},
            _STREAM: {"_NovaStreamCallback.__call__": _nova_streams},
        }
    )


def count(span: Any, source: Any, names: _Names = _OF_STREAMS) -> None:
    """Write the tokens that *source* states onto *span*. Must not raise."""
    try:
        if isinstance(source, Mapping):
            span.set_attributes(_counts(source, names))
    except Exception:
        contain("counting the tokens of a Bedrock call")


def _counts(source: Mapping[str, Any], names: _Names) -> dict[str, int]:
    fresh, answer, read, written = (source.get(name) for name in names)
    if not isinstance(fresh, int):
        return {}
    cached = (read or 0) + (written or 0)
    counts = {"prompt": fresh + cached}
    if isinstance(answer, int):
        total = source.get("totalTokens")
        if total == fresh + answer and cached <= fresh:  # What was cached is in both already.
            counts["prompt"] = fresh
        if not isinstance(total, int) or total == fresh + answer:
            total = counts["prompt"] + answer
        counts |= {"completion": answer, "total": total}
    if read is not None:
        counts["prompt_details.cache_read"] = read
    if written is not None:
        counts["prompt_details.cache_write"] = written
    return {_COUNT + name: value for name, value in counts.items()}


def _whole_of_claude(wrapped: Any, _instance: Any, arguments: Any, named: Any) -> Any:
    result = wrapped(*arguments, **named)
    span, answer = arguments
    count(span, answer.get("usage"), _OF_CLAUDE)
    return result


def _whole_of_nova(wrapped: Any, _instance: Any, arguments: Any, named: Any) -> Any:
    result = wrapped(*arguments, **named)
    span, answer = arguments
    count(span, answer.get("usage"), _OF_NOVA)
    return result


def _claude_streams(wrapped: Any, instance: Any, arguments: Any, named: Any) -> Any:
    (news,) = arguments
    message = instance._snapshot  # Upstream's state
    if isinstance(news, BaseException) and message is not None:
        try:
            usage = message.usage
            if message.stop_reason is None:
                # The length of the answer comes at its end, together with the reason why it
                # ended. Until then there is a placeholder, 0 or 1.
                usage.output_tokens = None
            count(instance._span, vars(usage), _OF_CLAUDE)
        except Exception:
            contain("counting the tokens of a Bedrock call")
    return wrapped(*arguments, **named)


def _nova_streams(wrapped: Any, instance: Any, arguments: Any, named: Any) -> Any:
    result = wrapped(*arguments, **named)
    (news,) = arguments
    chunk = news.get("chunk", {}).get("bytes", b"") if isinstance(news, dict) else b""
    if b'"usage"' in chunk:
        count(instance._span, _usage_in(chunk), _OF_NOVA)  # Upstream's state
    return result


def _usage_in(chunk: bytes) -> Any:
    try:
        return json.loads(chunk)["metadata"]["usage"]
    except (ValueError, LookupError, TypeError):  # A text that speaks of "usage".
        return None
