"""The rules for a model call: where what was sent to it, and what it returned, is recorded.

Each table is in order: the first rule that finds something counts. What reads is in
``flat_messages.py`` (a key for each field) and ``json_messages.py`` (JSON in one attribute).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from clew.sessions import flat_messages, json_messages
from clew.sessions.json_values import first, is_array, is_object, parse, text
from clew.sessions.model import Message

Attributes = Mapping[str, Any]


class Rule(NamedTuple):
    """Where the messages of a model call may be, and how they are read."""

    recorded_by: str
    key: str
    """The attribute, or the prefix of several if it ends with a dot."""
    read: Callable[[Attributes, str, str], list[Message]]
    """Given the attributes, the key and the role of messages that state none."""


def _json(attributes: Attributes, key: str, role: str) -> list[Message]:
    value = attributes.get(key)
    return json_messages.messages(parse(value) if isinstance(value, str) else value, role)


def _object(attributes: Attributes, key: str, role: str) -> list[Message]:
    """A request or response as the provider has it: its messages are in one of its fields."""
    value = parse(attributes.get(key))
    if json_messages.is_message(value):
        return json_messages.messages(value, role)
    if is_object(value):
        for name in ("messages", "input", "inputs", "contents", "prompt", "generations", "output"):
            if value.get(name):
                return json_messages.messages(value[name], role)
        choices = value.get("choices")
        if is_array(choices):
            bodies = [it.get("message") or it for it in choices if is_object(it)]
            return json_messages.messages(bodies, role)
    if is_array(value):
        return json_messages.messages(value, role)
    return []


def _text(attributes: Attributes, key: str, role: str) -> list[Message]:
    value = attributes.get(key)
    return [Message(role, text(value))] if isinstance(value, str) and value else []


def _plain_text(attributes: Attributes, key: str, role: str) -> list[Message]:
    """A text of which nobody says that it is JSON: that would be the provider's own response."""
    if attributes.get(key.replace("value", "mime_type")) == "application/json":
        return []
    return _text(attributes, key, role)


SENT = (
    # All six. The Responses API of OpenAI leaves number 0 to instructions; Bedrock's Converse and
    # whatever has images, sounds or files has parts, ``contents``.
    Rule("OpenInference", "llm.input_messages.", flat_messages.openinference),
    # OpenAI's and LlamaIndex's completions of a text: no messages, but a prompt.
    Rule("OpenInference", "llm.prompts.", flat_messages.prompts),
    Rule("OpenTelemetry GenAI", "gen_ai.input.messages", _json),
    Rule("OpenLLMetry", "gen_ai.prompt.", flat_messages.openllmetry),
    Rule("Vercel AI SDK", "ai.prompt.messages", _json),
    # An instrumentation that has only the request, as the provider got it.
    Rule("any", "input.value", _object),
    Rule("any", "input.value", _plain_text),
)
"""What was sent to a model."""

RETURNED = (
    Rule("OpenInference", "llm.output_messages.", flat_messages.openinference),
    Rule("OpenInference", "llm.choices.", flat_messages.prompts),
    Rule("OpenTelemetry GenAI", "gen_ai.output.messages", _json),
    Rule("OpenLLMetry", "gen_ai.completion.", flat_messages.openllmetry),
    Rule("Vercel AI SDK", "ai.response.text", _text),
    Rule("Vercel AI SDK", "ai.response.object", _text),
    Rule("any", "output.value", _object),
    Rule("any", "output.value", _plain_text),
)
"""What a model returned."""

INSTRUCTIONS = "gen_ai.system_instructions"
"""The system's prompt, where OpenTelemetry's conventions have it apart from the messages."""


def sent(attributes: Attributes) -> tuple[Message, ...]:
    """Return the messages that were sent to a model."""
    found = _with_media(_messages(SENT, attributes, "user"), attributes)
    stated = attributes.get(INSTRUCTIONS)
    if not stated:
        return found
    said = parse(stated)
    content = {"role": "system", "content": stated if said is None else said}
    return json_messages.message(content, "system"), *found


def returned(attributes: Attributes) -> tuple[Message, ...]:
    """Return the messages that a model returned."""
    return _messages(RETURNED, attributes, "assistant")


def _messages(rules: tuple[Rule, ...], attributes: Attributes, role: str) -> tuple[Message, ...]:
    """Return the messages that the first of *rules* finds which finds any."""
    for rule in rules:
        if rule.key.endswith(".") or rule.key in attributes:
            found = rule.read(attributes, rule.key, role)
            if any(it.text or it.tool_requests or it.media or it.reasoning for it in found):
                return tuple(found)
    return ()


ALTERNATIVES = ("n", "candidateCount", "candidate_count", "num_generations")
"""The parameters that ask a model for several answers to choose from."""
_ALTERNATIVES = re.compile(rf'"({"|".join(ALTERNATIVES)})"')
_MEDIA = re.compile(r'"(input_audio|input_file|file|document|document_url|image|image_url|audio)"')


def choices(attributes: Attributes) -> int:
    """Return how many answers to choose from a model was asked for."""
    stated = attributes.get("gen_ai.request.choice.count")
    parameters = attributes.get("llm.invocation_parameters")
    if stated is None and isinstance(parameters, str) and _ALTERNATIVES.search(parameters):
        said = parse(parameters)
        stated = first(said, ALTERNATIVES) if is_object(said) else None
    return stated if isinstance(stated, int) and stated > 1 else 1


def _with_media(found: tuple[Message, ...], attributes: Attributes) -> tuple[Message, ...]:
    """Add the sounds and files of the last message, which OpenInference leaves to the request."""
    value = attributes.get("input.value")
    if not (found and found[-1].role == "user" and isinstance(value, str) and _MEDIA.search(value)):
        return found
    last = found[-1]
    whole = [it for it in _object(attributes, "input.value", "user") if it.role == "user"]
    known = {it.kind for it in last.media}
    more = tuple(it for it in whole[-1].media if it.kind not in known) if whole else ()
    return (*found[:-1], replace(last, media=(*last.media, *more))) if more else found


_KEPT = ('"previous_response_id": "', '"conversation": "', '"conversation_id": "')
"""OpenAI's Responses and Mistral's conversations, as their requests name what is gone on with."""


def goes_on(attributes: Attributes) -> bool:
    """Whether a model call goes on with a conversation that the provider has kept."""
    value = attributes.get("input.value")
    return isinstance(value, str) and any(it in value for it in _KEPT)


FIRST_OF_SEVERAL = frozenset({"MistralClient.fim", "MistralAsyncClient.fim"})
"""Model calls whose further user messages are no words of the user's: what is to follow after the
gap that Mistral's fim fills."""
