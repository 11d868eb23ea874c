"""Tells which spans are part of a model call, so that no id is sent to the model's provider.

A provider behind a gateway, a proxy or an endpoint of one's own is not known by its host name. But
the request to it is made inside the span of a model call, and its own span is marked with that.
"""

from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

from clew.spans.framework_runs import context_inside_run

_KIND = "openinference.span.kind"
_MODEL_KINDS = frozenset({"LLM", "EMBEDDING", "RERANKER"})
_OTHER_KINDS = frozenset({"TOOL", "AGENT", "RETRIEVER", "EVALUATOR", "GUARDRAIL"})
"""Kinds of spans that are not part of a model call, even inside the span of one."""
_GENAI_MODEL = "gen_ai.request.model"
_AWS_SERVICE = "rpc.service"
_BEDROCK = "bedrock"

_enabled = False
"""Whether this process sends ids anywhere. Otherwise spans are not marked, which saves time."""


def watch_model_calls() -> None:
    """From now on, mark the spans that are part of a model call."""
    global _enabled  # It only ever becomes true
    _enabled = True


def mark_if_in_model_call(span: Any, parent_context: Context | None) -> None:
    """Mark *span*, which starts now, if it is inside a model call."""
    if _enabled and is_part_of_model_call(get_current_span(context_inside_run(parent_context))):
        span.clew_in_model_call = True


def is_part_of_model_call(span: Any) -> bool:
    """Whether what happens inside *span* is part of a model call."""
    attributes = getattr(span, "attributes", None) or {}
    kind = attributes.get(_KIND)
    if kind in _MODEL_KINDS or _GENAI_MODEL in attributes:
        return True
    if str(attributes.get(_AWS_SERVICE, "")).lower().startswith(_BEDROCK):
        return True
    if kind in _OTHER_KINDS:
        return False
    call = getattr(span, "clew_call", None)
    return getattr(span, "clew_in_model_call", False) or (call is not None and call.is_open)
