"""Makes answers for every wire format: texts, tool calls, structured output and token counts.

Each wire format reads its request into a ``Question`` and writes the ``Answer`` in its own form, so
all providers answer alike and a test can compare them. An answer depends on the request alone.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tests.support.providers.exchange import Json, Usage
from tests.support.providers.field_prompts import FieldPrompt, without_markers
from tests.support.providers.schemas import example

CREATED = 1_735_689_600
"""The time at which everything is created: 2025-01-01."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_IMAGE_TOKENS = 85
_serial = itertools.count(1)


@dataclass(frozen=True)
class Tool:
    """A tool as offered: its name and the JSON schema of its arguments."""

    name: str
    schema: Json


@dataclass(frozen=True)
class ToolCall:
    """A call the model decided on."""

    id: str
    name: str
    arguments: Json


@dataclass(frozen=True)
class Question:
    """What a request asks, in no particular wire format.

    ``choice`` is "auto", "none" or "required"; ``forced`` names a tool that must be called.
    ``answered`` is true if the last message is a tool's result. ``transcript`` is the text of all
    messages, and ``turns`` has them with their roles, where the wire format names them.
    """

    model: str
    system: str
    user: str
    prompt_tokens: int
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    forced: str | None = None
    answered: bool = False
    schema: Json | None = None
    wants_json: bool = False
    max_tokens: int | None = None
    transcript: str = ""
    turns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Answer:
    """A text or tool calls, whether the token limit cut it short, and its tokens."""

    text: str
    calls: tuple[ToolCall, ...]
    truncated: bool
    usage: Usage

    @property
    def pieces(self) -> list[str]:
        """The text as a stream delivers it, word by word."""
        return pieces(self.text)


FindText = Callable[[Question, str], str]
"""Returns a text for a question and the name of what is wanted, such as "answer"."""


def _default_text(question: Question, wanted: str) -> str:
    return f"A short {wanted} about {subject_of(question.user)}."


@dataclass(frozen=True)
class Written:
    """An answer that somebody wrote: a text, calls of tools, or the fields that DSPy asks for."""

    text: str = ""
    calls: tuple[tuple[str, Json], ...] = ()
    fields: Json | None = None


Writer = Callable[[Question], Written]
Embed = Callable[[str, int], list[float]]


@dataclass
class _Sources:
    """The functions that make texts and vectors for all provider servers in this process."""

    find_text: FindText
    writer: Writer | None = None
    embed: Embed | None = None


_sources = _Sources(_default_text)  # One for all threads: each request is answered in another.


@contextmanager
def texts_from(find_text: FindText) -> Iterator[None]:
    """Use the texts of *find_text* in all provider servers of this process, inside the block."""
    before, _sources.find_text = _sources.find_text, find_text
    try:
        yield
    finally:
        _sources.find_text = before


@contextmanager
def answers_from(writer: Writer, embed: Embed) -> Iterator[None]:
    """Use written answers and *embed* in all provider servers of this process, inside the block."""
    before = _sources.writer, _sources.embed
    _sources.writer, _sources.embed = writer, embed
    try:
        yield
    finally:
        _sources.writer, _sources.embed = before


def respond(question: Question, call_id: str = "call_", id_length: int = 24) -> Answer:
    """Decide on an answer. ``call_id`` and its length give tool-call ids the provider's form."""
    chosen, text = _as_written(question, _sources.writer) if _sources.writer else _made_up(question)
    calls = tuple(ToolCall(new_id(call_id, id_length), name, given) for name, given in chosen)
    output = text + "".join(call.name + json.dumps(call.arguments) for call in calls)
    output_tokens = count_tokens(output)
    truncated = (
        not calls and question.max_tokens is not None and output_tokens > question.max_tokens
    )
    if truncated:
        text, output_tokens = _cut(text, question.max_tokens or 0)
    reasoning = question.prompt_tokens // 2 + 1 if "reason" in question.model else 0
    cached = question.prompt_tokens // 2 if "cached" in question.model else 0
    completion = output_tokens + reasoning
    total = question.prompt_tokens + completion
    usage = Usage(question.prompt_tokens, completion, total, cached, reasoning)
    return Answer(text, calls, truncated, usage)


def _made_up(question: Question) -> tuple[list[tuple[str, Json]], str]:
    calls = [(tool.name, example(tool.schema)) for tool in _called(question)]
    return calls, "" if calls else _text(question)


def _as_written(question: Question, writer: Writer) -> tuple[list[tuple[str, Json]], str]:
    """Return what was written, if it is an answer that a provider could give to the question."""
    written = writer(question)
    offered = {tool.name for tool in question.tools}
    if unknown := {name for name, _ in written.calls} - offered:
        message = f"the written answer calls {unknown}, but offered are {offered}"
        raise ValueError(message)
    if written.fields is None:
        return list(written.calls), written.text
    prompt = FieldPrompt.read(question.system, question.user, question.transcript)
    if prompt is None or prompt.notes.keys() != written.fields.keys():
        message = f"the written fields {[*written.fields]} are not those that are asked for"
        raise ValueError(message)
    return [], prompt.laid_out(written.fields)


def _called(question: Question) -> list[Tool]:
    """Which tools to call.

    A tool that is forced is called every time. If merely some call is required, the first tool
    is called, and after a result the last one: that is where agent frameworks put the tool by
    which a structured answer is given, so agents come to an end.
    """
    offered = list(question.tools)
    if question.forced is not None:
        return [tool for tool in offered if tool.name == question.forced][:1]
    if not offered or question.choice == "none":
        return []
    if question.choice == "required":
        return [offered[-1 if question.answered else 0]]
    return [] if question.answered or not _is_useful(offered[0], question) else offered[:1]


def _is_useful(tool: Tool, question: Question) -> bool:
    """Whether the message contains the words that a tool's required enums allow."""
    parameters = tool.schema.get("properties") or {}
    needed = [parameters.get(name) or {} for name in tool.schema.get("required") or ()]
    choices = [words for one in needed if (words := one.get("enum"))]
    return all(any(str(word) in question.user for word in words) for words in choices)


def _text(question: Question) -> str:
    prompt = FieldPrompt.read(question.system, question.user, question.transcript)
    if question.schema is not None:
        return json.dumps(example(question.schema))
    if prompt is not None:
        return prompt.answer(lambda wanted: _sources.find_text(question, wanted))
    words = _sources.find_text(question, "answer")
    return json.dumps({"answer": words}) if question.wants_json else words


def subject_of(text: str) -> str:
    """The first words of a message, by which answers to different messages differ."""
    words = without_markers(text).split()[:8]
    return " ".join(words).strip(" .,:;!?{}[]\"'") or "nothing"


def count_tokens(text: str) -> int:
    """Words and punctuation marks: simple, deterministic, never zero for a text."""
    return len(_TOKEN.findall(text))


def count_input(*parts: Any) -> int:
    """Tokens of all texts in a request, plus a few per message, as chat formats add them."""
    total = 0
    for part in parts:
        total += 3 * len(part) if isinstance(part, list) else 0
        total += sum(_IMAGE_TOKENS if _is_media(s) else count_tokens(s) for s in _strings(part))
    return max(1, total)


def _is_media(text: str) -> bool:
    return text.startswith("data:") or (len(text) > 500 and " " not in text)


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from itertools.chain.from_iterable(_strings(one) for one in value.values())
    elif isinstance(value, list):
        yield from itertools.chain.from_iterable(_strings(one) for one in value)


def text_of(content: Any) -> str:
    """The text in a message's content, in any of the forms the wires have for it."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, map(text_of, content)))
    if isinstance(content, dict):
        return text_of(content.get("text"))
    return ""


def last_text(messages: list[Json], role: str = "user") -> str:
    """The text of the last message of that role which has any."""
    texts = (text_of(one.get("content")) for one in reversed(messages) if one.get("role") == role)
    return next(filter(None, texts), "")


def pieces(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def fragments(arguments: Json, size: int = 8) -> list[str]:
    """Tool arguments as a stream delivers them: JSON text cut without regard to its syntax."""
    text = json.dumps(arguments)
    return [text[start : start + size] for start in range(0, len(text), size)]


def _cut(text: str, limit: int) -> tuple[str, int]:
    ends = [match.end() for match in itertools.islice(_TOKEN.finditer(text), limit)]
    return (text[: ends[-1]] if ends else ""), len(ends)


def new_id(prefix: str, length: int = 24) -> str:
    """A new id that begins with *prefix*, as a provider's ids do."""
    return prefix + sha256(f"{prefix}{next(_serial)}".encode()).hexdigest()[:length]


def vector(text: str, dimensions: int = 8) -> list[float]:
    """A unit vector computed from the text: equal texts have equal vectors."""
    if _sources.embed:
        return _sources.embed(text, dimensions)
    digests = (sha256(f"{text}|{index}".encode()).digest() for index in range(dimensions))
    raw = [int.from_bytes(digest[:4], "big") / 2**31 - 1 for digest in digests]
    norm = math.sqrt(sum(one * one for one in raw)) or 1.0
    return [round(one / norm, 6) for one in raw]
