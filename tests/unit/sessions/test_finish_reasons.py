"""Why a model stopped, as instrumentations and providers record it."""

import json
from typing import Any

import pytest

from clew.sessions.finish_reasons import finish_reason


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"gen_ai.response.finish_reasons": ("length",)}, "length"),
        ({"gen_ai.response.finish_reasons": '["max_tokens"]'}, "max_tokens"),
        ({"gen_ai.response.finish_reasons": ("stop", "length")}, "length"),
        ({"ai.response.finishReason": "content-filter"}, "content-filter"),
        ({"llm.finish_reason": "STOP"}, "stop"),
        ({"output.value": json.dumps({"choices": [{"finish_reason": "length"}]})}, "length"),
        ({"output.value": json.dumps({"stop_reason": "max_tokens"})}, "max_tokens"),
        (
            {"output.value": json.dumps({"stopReason": "guardrail_intervened"})},
            "guardrail_intervened",
        ),
        ({"output.value": json.dumps({"stop_reason": None})}, ""),
        (
            {"output.value": json.dumps({"incomplete_details": {"reason": "max_output_tokens"}})},
            "max_output_tokens",
        ),
        ({"output.value": json.dumps({"content": json.dumps({"finish_reason": "length"})})}, ""),
        ({"output.value": "It was cut."}, ""),
        ({"output.value": 'It is cut where it says `"finish_reason": "length"`.'}, ""),
        ({"output.value": '\n[{"finish_reason": "length"}]'}, "length"),
        ({"gen_ai.response.finish_reasons": 7, "output.value": 7}, ""),
        ({}, ""),
    ],
)
def test_finish_reason(attributes: dict[str, Any], expected: str) -> None:
    assert finish_reason(attributes) == expected
