"""finish_reason: why a model stopped, from the attributes of its span."""

import re
from collections.abc import Mapping
from typing import Any

from clew.sessions.json_values import first, is_array, parse, text

_KEYS = (
    "llm.finish_reason",
    "gen_ai.response.finish_reasons",
    "ai.response.finishReason",
    "gen_ai.completion.0.finish_reason",
)
_OUTPUT = ("output.value",)
_IN_RESPONSE = re.compile(
    r'"(?:finish_reason|finishReason|stop_reason|stopReason)" ?: ?"([\w-]{1,60})"'
    r'|"incomplete_details" ?: ?\{ ?"reason" ?: ?"([\w-]{1,60})"'
)
"""As providers write it in their answers; in an answer's own text, the quotes are escaped."""


def finish_reason(attributes: Mapping[str, Any]) -> str:
    """Return why the model stopped, in lower case; empty if that is not recorded.

    Of several answers, the reason of the first one that was not simply at its end counts.
    """
    value = first(attributes, _KEYS)
    value = parse(value) if isinstance(value, str) and value.startswith("[") else value
    several = [text(it) for it in value] if is_array(value) else [text(value)]
    several = [it.lower() for it in several if it]
    if not several:
        returned = first(attributes, _OUTPUT)
        if isinstance(returned, str) and returned.lstrip()[:1] in {"{", "["}:  # No plain text.
            several = [(one or other).lower() for one, other in _IN_RESPONSE.findall(returned)]
    return next((it for it in several if it not in _AT_ITS_END), several[0] if several else "")


_AT_ITS_END = frozenset(
    {"stop", "end_turn", "tool_calls", "tool_use", "stop_sequence", "completed"}
)
