"""Reads the token counts in a recorded response, in the format of each provider."""

from collections.abc import Iterator
from typing import Any

from tests.support.providers import Usage
from tests.support.providers.recordings import Recording, events

_METRICS = "amazon-bedrock-invocationMetrics"


def recorded_usage(recording: Recording) -> Usage:
    """Return the tokens of the model calls that the response states."""
    if recording.path.endswith("/embeddings") or "embed" in recording.path:
        return Usage()
    said = [payload for _, payload in events(recording.content_type, recording.response)]
    blocks = list(_found(said, "usage"))
    if metrics := list(_found(said, _METRICS)):
        # Claude states at the end of a stream what its answer took, in place of what it stated at
        # the start. Bedrock's own count of the same answer may be another.
        blocks = [{**blocks[0], **blocks[-1]}] if blocks else metrics
    return sum(map(_usage, blocks), Usage())


def _found(value: Any, key: str) -> Iterator[dict[str, Any]]:
    """Yield each dictionary under *key*, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get(key), dict):
            yield value[key]
        for name, inner in value.items():
            if name != key:
                yield from _found(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _found(inner, key)


def _usage(block: dict[str, Any]) -> Usage:
    def first(*names: str) -> int:
        return next((block[name] for name in names if block.get(name) is not None), 0)

    def detail(kind: str, name: str) -> int:
        places = (f"prompt_tokens_{kind}", f"completion_tokens_{kind}")
        places += (f"input_tokens_{kind}", f"output_tokens_{kind}")
        return next((inner[name] for it in places if name in (inner := block.get(it) or {})), 0)

    prompt = first("prompt_tokens", "input_tokens", "inputTokens", "inputTokenCount")
    completion = first("completion_tokens", "output_tokens", "outputTokens", "outputTokenCount")
    read = first("cacheReadInputTokens", "cacheReadInputTokenCount", "cache_read_input_tokens")
    written = first(
        "cacheWriteInputTokens", "cacheWriteInputTokenCount", "cache_creation_input_tokens"
    )
    prompt += read + written  # Bedrock and Anthropic state them apart from the rest of the input.
    total = first("total_tokens", "totalTokens") or prompt + completion
    cached = read or detail("details", "cached_tokens")
    return Usage(prompt, completion, total, cached, detail("details", "reasoning_tokens"))
