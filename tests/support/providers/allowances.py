"""Where the provider server differs from recorded traffic on purpose, each with its reason."""

from __future__ import annotations

import re
from typing import NamedTuple


class Allowance(NamedTuple):
    """An intended difference from some recordings, and its reason."""

    recording: str
    difference: str
    reason: str

    def allows(self, recording: str, difference: str) -> bool:
        """Whether this is the allowed difference from this recording."""
        return self.recording in recording and re.search(self.difference, difference) is not None


ALLOWANCES = (
    Allowance(
        "TestInvokeModelWithStreamResponse",
        r"chunk content_block_(start|delta): bytes\.(content_block|delta)\.text is missing",
        "a model may think aloud before it calls a tool; ours never does",
    ),
    Allowance(
        "test_nova_with_tool_use",
        r"body: output\.message\.content\[\]\.text is missing",
        "a model may think aloud before it calls a tool; ours never does",
    ),
    Allowance(
        "test_multi_agent_collaborator",
        r"AGENT_COLLABORATOR: collaboratorName is missing",
        "the recorded collaborator asks another one in turn; ours answers by itself",
    ),
    Allowance(
        "hides_regular_url_images",
        r"body: error\.code is \['null'\]",
        "the code of a bad request depends on what is bad; an ordered 400 has no cause to name",
    ),
)

AGENTS_LIKE = {
    "tool_calls": "TOOL",
    "knowledge_base": "KNOWLEDGE",
    "multi_agent": "TEAM",
    "classifier_trace": "ROUTER",
    "classifier_with_reasoning": "ROUTER-TEAM-TOOL",
    "preprocessing": "PRE",
    "post_processing": "POST",
    "guardrail": "GUARDED",
}
"""Which of the server's agents is configured like that of a recording; no request says this."""
