"""The rules for a whole turn: what the outermost chain or agent was given, and what it returned.

A model's prompt is not always what the user said: a RAG engine puts a context around the question,
DSPy puts fields around it, LangChain fills a template. So what the application itself has given to
the framework counts more, where the framework records it plainly.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from clew.sessions import json_messages
from clew.sessions.json_values import dump, is_array, is_object, parse, text
from clew.sessions.model import Message

GIVEN = ("gen_ai.input.messages", "input.value", "ai.prompt", "traceloop.entity.input")
"""OpenTelemetry GenAI; OpenInference and whoever uses its decorators; Vercel; OpenLLMetry."""
CAME_BACK = (
    "gen_ai.output.messages",
    "output.value",
    "ai.response.text",
    "ai.response.object",
    "traceloop.entity.output",
)

BESIDES = frozenset(
    {
        # DSPy: what its programs think, and the conversation that they are given.
        *("reasoning", "rationale", "trajectory", "history"),
        # LangChain, LlamaIndex: the conversation so far, and what was found for the answer.
        *("chat_history", "intermediate_steps", "context", "documents", "sources"),
        *("source_nodes", "source_documents", "metadata", "config", "is_dummy_stream"),
        # OpenInference's decorators, and whoever else records the arguments of a function.
        *("self", "session_id", "user_id", "thread_id", "verbose"),
    }
)
"""Fields that say nothing to, or by, the user."""
QUESTION = (
    # A graph's messages come first: LangGraph may have further fields in its state.
    *("messages", "question", "query", "query_str", "str_or_query_bundle", "user_input"),
    *("user_message", "user_msg", "input", "inputs", "message", "prompt", "request", "text"),
)
ANSWER = (
    # LangChain's agents state a structured answer beside the messages that led to it.
    *("structured_response", "messages", "answer", "response", "output", "output_text"),
    *("final_answer", "result", "generation", "completion", "content", "text"),
)
"""Fields that hold the words, the likeliest first, where there are several fields."""

_REPR = re.compile(r"<[\w. ]+( object| at 0x|>)|[A-Za-z_]\w*\((\w+=|\)$)|\[<")
"""LlamaIndex records what it cannot write as JSON as Python shows it, and cuts it after some
hundred characters: no words."""
_OBJECT = re.compile(r"<[^<>]* object( at 0x\w+)?>")
_PAIRED = frozenset({"user", "human", "assistant", "ai", "system", "developer"})
_MAX_DEPTH = 8


def given(attributes: Mapping[str, Any]) -> Message | None:
    """Return what the user said, if a chain or agent says so plainly."""
    return _first(GIVEN, attributes, "user")


def came_back(attributes: Mapping[str, Any]) -> Message | None:
    """Return what came back to the user, if a chain or agent says so plainly."""
    return _first(CAME_BACK, attributes, "assistant")


def structured(attributes: Mapping[str, Any]) -> Message | None:
    """Return what came back as JSON, if it is a structured answer."""
    value = attributes.get("output.value")
    said = parse(value)
    if not isinstance(value, str) or not (is_object(said) or is_array(said)):
        return None
    return None if _OBJECT.search(value) else Message("assistant", text(value))


def _first(keys: tuple[str, ...], attributes: Mapping[str, Any], role: str) -> Message | None:
    for key in keys:
        value = attributes.get(key)
        if value:
            said = parse(value)
            found = _said(value if said is None else said, role)
            if found is not None:
                return found
    return None


def _said(value: object, role: str) -> Message | None:
    """Look for the words in a value, from the outside in."""
    for _ in range(_MAX_DEPTH):
        value = _as_message(value)
        if json_messages.is_message(value):
            return _last([value], role)
        if is_array(value):
            if len(value) != 1 or json_messages.is_message(_as_message(value[0])):
                return _last([_as_message(it) for it in value], role)
            value = value[0]
        elif is_object(value):
            value = _chosen(value, role)
        else:
            break
    words = isinstance(value, str) and value and not _REPR.match(value)
    return Message(role, text(value)) if words else None


def _chosen(fields: Mapping[str, Any], role: str) -> Any:
    """Return the field of an object that has the words, or all as JSON; None if it is unknown."""
    rest = {key: it for key, it in fields.items() if key not in BESIDES and it is not None}
    likely = QUESTION if role == "user" else ANSWER
    name = next((key for key in likely if rest.get(key)), None)
    if name is None and len(rest) == 1:
        name = next(iter(rest))
        if role == "assistant":  # The one field of a structured answer.
            return dump(rest[name])
    if name == "structured_response":
        return dump(rest[name])
    if name is not None:
        return rest[name]
    # Several answers at once, as LangChain's parallel chains and DSPy's signatures have them.
    several = rest and all(isinstance(it, str) and not _REPR.match(it) for it in rest.values())
    return dump(rest) if several and role == "assistant" else None


def _as_message(value: Any) -> Any:
    """Return a message that LangChain was given as a role and its text; anything else as it is."""
    if is_array(value) and len(value) == len(("role", "text")) and text(value[0]) in _PAIRED:
        role, content = value
        if isinstance(content, str) or (is_array(content) and all(map(is_object, content))):
            return {"role": role, "content": content}
    return value


def _last(values: Sequence[Any], role: str) -> Message | None:
    """Return the last message of that role. A text beside messages is the user's, to LangChain."""
    if not any(json_messages.is_message(it) for it in values):
        return None
    for it in reversed(values):
        value = {"role": "user", "content": it} if isinstance(it, str) else it
        if json_messages.is_message(value):
            found = json_messages.message(value, role)
            if found.role == role and (found.text or found.media or found.tool_requests):
                return found
    return None
