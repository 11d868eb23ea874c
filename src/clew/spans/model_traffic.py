"""Which spans are part of asking a model: whatever host they call, no id is sent along.

A provider behind a gateway, a proxy or an endpoint of one's own is not known by its name. But the
request to it is made inside the span of a model call, and its span remembers that.
"""

from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

from clew.spans.framework_runs import nested

_KIND = "openinference.span.kind"
_ASK = frozenset({"LLM", "EMBEDDING", "RERANKER"})
_OTHER_WORK = frozenset({"TOOL", "AGENT", "RETRIEVER", "EVALUATOR", "GUARDRAIL"})
"""Kinds of spans that do something else, also where a model call is around them."""
_GENAI_MODEL = "gen_ai.request.model"
_AWS_SERVICE = "rpc.service"
_BEDROCK = "bedrock"

_watching = False
"""Whether this process sends ids anywhere. One that does not pays for none of this."""


def watch_model_calls() -> None:
    """From now on, let spans remember whether they are part of a model call."""
    global _watching  # It only ever becomes true
    _watching = True


def know_model_call(span: Any, parent_context: Context | None) -> None:
    """Let *span*, which starts now, know whether a model call is around it."""
    if _watching and asks_a_model(get_current_span(nested(parent_context))):
        span.clew_asks = True


def asks_a_model(span: Any) -> bool:
    """Whether what happens inside *span* is part of a model call."""
    said = getattr(span, "attributes", None) or {}
    kind = said.get(_KIND)
    if kind in _ASK or _GENAI_MODEL in said:
        return True
    if str(said.get(_AWS_SERVICE, "")).lower().startswith(_BEDROCK):
        return True
    if kind in _OTHER_WORK:
        return False
    call = getattr(span, "clew_call", None)
    return getattr(span, "clew_asks", False) or (call is not None and call.is_open)
