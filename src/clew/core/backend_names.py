"""The attribute names that other backends read for the session and the user. Pure data.

``CLEW_ALIASES=langfuse,genai`` sets the ids under these names too. Each row has the address of the
page on which its backend documents the name.
"""

from typing import NamedTuple


class Alias(NamedTuple):
    """One preset: the names that a backend reads beside ``session.id`` and ``user.id``."""

    name: str
    session: str
    user: str | None
    documented: str
    genai_only: bool = False
    """Whether to set it only on model calls, agents and workflows: because of the name, a backend
    would count other spans as model calls."""


ALIASES = {
    alias.name: alias
    for alias in (
        Alias(
            name="genai",
            session="gen_ai.conversation.id",
            user=None,
            documented="https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/",
            genai_only=True,
        ),
        Alias(
            name="langfuse",
            session="langfuse.session.id",
            user="langfuse.user.id",
            documented="https://langfuse.com/integrations/native/opentelemetry",
        ),
        Alias(
            name="langsmith",
            session="langsmith.metadata.session_id",
            user="langsmith.metadata.user_id",
            documented="https://docs.langchain.com/langsmith/trace-with-opentelemetry",
        ),
        Alias(
            name="mlflow",
            session="mlflow.trace.session",
            user="mlflow.trace.user",
            documented="https://mlflow.org/docs/latest/genai/tracing/track-users-sessions/",
        ),
        Alias(
            name="openllmetry",
            session="traceloop.association.properties.session_id",
            user="traceloop.association.properties.user_id",
            documented="https://www.traceloop.com/docs/openllmetry/tracing/association",
        ),
        Alias(
            name="traceloop",
            session="traceloop.association.properties.session_id",
            user="traceloop.association.properties.user_id",
            documented="https://www.traceloop.com/docs/openllmetry/tracing/association",
        ),
    )
}

GENAI_SPAN_KINDS = frozenset({"LLM", "AGENT", "CHAIN"})
"""OpenInference's kinds for a model call, an agent and a workflow."""

GENAI_OPERATIONS = frozenset(
    {
        "chat",
        "text_completion",
        "generate_content",
        "create_agent",
        "invoke_agent",
        "invoke_workflow",
    }
)
"""OpenTelemetry's operations for the same, on spans of instrumentations that use its names."""
