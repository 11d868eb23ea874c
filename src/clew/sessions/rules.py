"""The rules for a span: what kind of work it is, and where its figures and names are recorded.

Where the words are, is in ``message_rules.py`` for a model call and in ``whole_turn_rules.py`` for
a whole turn. These three are the place to look, and to add to, when something of a framework is not
found. Whatever has several names has them in an order: the first one that is there counts.
"""

from collections.abc import Mapping
from typing import Any

from clew.sessions import json_messages
from clew.sessions.json_values import dump, is_object, parse
from clew.sessions.model import CallKind

Attributes = Mapping[str, Any]

SESSION = ("session.id", "gen_ai.conversation.id")
"""clew and OpenInference; OpenTelemetry's GenAI conventions, as other languages follow them."""
USER = ("user.id", "enduser.id")

KINDS: Mapping[str, Mapping[str, str]] = {
    # OpenInference's instrumentations: all six frameworks, and those for JavaScript and Java.
    "openinference.span.kind": {
        **{it: it for it in ("LLM", "CHAIN", "AGENT", "TOOL", "RETRIEVER", "EMBEDDING")},
        **{it: it for it in ("RERANKER", "GUARDRAIL", "EVALUATOR", "PROMPT")},
    },
    # OpenTelemetry's GenAI conventions.
    "gen_ai.operation.name": {
        "chat": "LLM",
        "text_completion": "LLM",
        "generate_content": "LLM",
        "embeddings": "EMBEDDING",
        "execute_tool": "TOOL",
        "invoke_agent": "AGENT",
        "invoke_workflow": "CHAIN",
        "retrieval": "RETRIEVER",
    },
    # OpenLLMetry, for models and for what is around them.
    "llm.request.type": {"chat": "LLM", "completion": "LLM", "embedding": "EMBEDDING"},
    "traceloop.span.kind": {
        "workflow": "CHAIN",
        "task": "CHAIN",
        "agent": "AGENT",
        "tool": "TOOL",
    },
    # Vercel's AI SDK, which makes a span for the whole, and one inside it for each request.
    "ai.operationId": {
        "ai.generateText": "CHAIN",
        "ai.streamText": "CHAIN",
        "ai.generateObject": "CHAIN",
        "ai.streamObject": "CHAIN",
        "ai.generateText.doGenerate": "LLM",
        "ai.streamText.doStream": "LLM",
        "ai.generateObject.doGenerate": "LLM",
        "ai.streamObject.doStream": "LLM",
        "ai.embed": "EMBEDDING",
        "ai.embedMany": "EMBEDDING",
        "ai.toolCall": "TOOL",
    },
}
"""What kind of work a span is, in OpenInference's words, by the attribute that tells."""

CALLS: Mapping[str, CallKind] = {
    "LLM": "model",
    "TOOL": "tool",
    "RETRIEVER": "retrieval",
    "EMBEDDING": "embedding",
    "RERANKER": "reranking",
    "GUARDRAIL": "guardrail",
    "AGENT": "agent",
}
"""The kinds of spans that are calls. The others (chains, prompts) only put calls together."""

MODEL = (
    "llm.model_name",
    "embedding.model_name",
    "reranker.model_name",
    "gen_ai.response.model",
    "gen_ai.request.model",
    "ai.model.id",
)
PROVIDER = ("llm.provider", "gen_ai.provider.name", "llm.system", "gen_ai.system")
NAME = ("tool.name", "agent.name", "gen_ai.tool.name", "gen_ai.agent.name", "ai.toolCall.name")
COST = ("llm.cost.total", "gen_ai.usage.cost")
TOKENS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("llm.token_count.prompt", "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "completion": (
        "llm.token_count.completion",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
    ),
    "total": ("llm.token_count.total", "gen_ai.usage.total_tokens", "llm.usage.total_tokens"),
    "cached": (
        "llm.token_count.prompt_details.cache_read",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
    ),
    "reasoning": (
        "llm.token_count.completion_details.reasoning",
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
    ),
}
FIRST_TOKEN_SECONDS = (
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.server.time_to_first_token",
)
FIRST_TOKEN_MILLISECONDS = ("ai.response.msToFirstChunk",)
FIRST_TOKEN_EVENTS = frozenset({"First Token Stream Event", "ai.stream.firstChunk"})


NOT_A_TOOL = frozenset({("dspy", "finish")})
"""What a framework calls like a tool, without there being one: how DSPy's ReAct ends its work."""

ARGUMENTS = ("gen_ai.tool.call.arguments", "ai.toolCall.args", "input.value", "reranker.query",
             "traceloop.entity.input")  # fmt: skip
RESULT = ("gen_ai.tool.call.result", "ai.toolCall.result", "output.value",
          "traceloop.entity.output")  # fmt: skip
"""What a tool, a retrieval or an agent was called with, and what it returned."""


def result_text(value: object) -> str:
    """Return what a tool returned: LangChain records it as a message, DSPy as JSON."""
    said = parse(value)
    if isinstance(said, str):
        return said
    if json_messages.is_message(said):
        return json_messages.message(said, "tool").text
    return dump(value)


def argument_text(value: object) -> str:
    """Return what a tool was called with, without what an instrumentation wraps it in."""
    said = parse(value)
    for _ in range(2):
        if is_object(said) and len(said) == 1:
            name, inner = next(iter(said.items()))
            if name in {"kwargs", "input_args", "arguments"} and is_object(inner):
                said, value = inner, dump(inner)
    return dump(value)


def kind(attributes: Attributes) -> str:
    """Return the kind of a span in OpenInference's words; empty if it is of another library."""
    for key, names in KINDS.items():
        value = attributes.get(key)
        if isinstance(value, str) and (found := names.get(value) or names.get(value.upper())):
            return found
    return ""
