"""How Bedrock's token counts are set on a span, with counts from real responses."""

import os
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from clew.instrument.repairs.bedrock.tokens import _NOVA_NAMES, set_token_counts
from tests.support.providers import recordings

FOLDER = os.environ.get("CLEW_RECORDINGS")


def token_attributes(usage):
    """Return the token counts on a span after *usage* was set on it."""
    span = TracerProvider().get_tracer("nova").start_span("invoke_model")
    set_token_counts(span, usage, _NOVA_NAMES)
    return {key.removeprefix("llm.token_count."): it for key, it in span.attributes.items()}


def token_counts(*, fresh, answer, read=0, written=0, total=None):
    """Return prompt, completion and total on a span for these counts of Nova."""
    values = (fresh, answer, read, written)
    usage = dict(zip(_NOVA_NAMES, values, strict=True))
    if total is not None:
        usage["totalTokens"] = total
    found = token_attributes(usage)
    assert found["prompt_details.cache_read"] == read
    assert found["prompt_details.cache_write"] == written
    return found["prompt"], found["completion"], found["total"]


@pytest.mark.parametrize(
    ("fresh", "answer", "read", "written", "total"),
    [
        # Nova's answers to invoke_model, as recorded.
        (16, 27, 0, 0, 43),
        (13, 3, 0, 0, 16),
        (408, 54, 0, 0, 462),
        # What converse has stated of cached prompts.
        (18, 386, 0, 7502, 7906),
        (18, 503, 7502, 0, 8023),
        (368, 19, 10536, 0, 10923),
    ],
)
def test_prompt_includes_cached_tokens(fresh, answer, read, written, total):
    stated = {"fresh": fresh, "answer": answer, "read": read, "written": written}
    expected = (fresh + read + written, answer, total)
    assert token_counts(**stated, total=total) == expected
    assert token_counts(**stated) == expected  # As a stream of Nova's states it.


def test_total_can_show_that_input_already_includes_cached_tokens():
    assert token_counts(fresh=100, answer=30, read=80, total=130) == (100, 30, 130)
    # More cannot have been read than there was, so here it cannot be meant so.
    assert token_counts(fresh=18, answer=386, read=7502, total=404) == (7520, 386, 7906)


def test_other_totals_are_kept():
    assert token_counts(fresh=10, answer=5, read=20, total=42) == (30, 5, 42)


@pytest.mark.skipif(not FOLDER, reason="CLEW_RECORDINGS names no recordings")
def test_recorded_responses_of_nova():
    stated = []
    for recording in recordings.load(Path(FOLDER)):
        if "nova" in recording.path and "/invoke" in recording.path:
            for _, event in recordings.events(recording.content_type, recording.response):
                stated += recorded_usage(event)
    assert len(stated) >= 4
    for usage in stated:
        fresh, answer, read, written = (usage[name] for name in _NOVA_NAMES)
        total = fresh + answer + read + written
        assert usage.get("totalTokens", total) == total
        assert token_attributes(usage)["total"] == total


def recorded_usage(event):
    """Return the usage in a response or in a chunk of a stream, as a list."""
    event = event.get("bytes", event)
    found = event.get("usage") or event.get("metadata", {}).get("usage")
    return [found] if found else []


def test_invalid_usage_is_ignored():
    for usage in (None, {}, {"inputTokens": None}, [], "inputTokens"):
        assert token_attributes(usage) == {}
