"""What was said in a request to a provider and in its response, read from the bytes alone.

It knows the formats of the providers, and nothing of spans, so that it can contradict them.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.providers.recordings import EVENT_STREAM, decoded

_JUDGES = re.compile(r"moderations|classifications|/guardrail/")
_EMBEDS = re.compile(r"embed")


@dataclass(frozen=True)
class Said:
    """The two texts of an exchange, and the tools that were asked for."""

    asked: str
    answered: str
    tools: tuple[str, ...] = ()


@dataclass
class _Answer:
    texts: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)


def says_nothing(path: str) -> bool:
    """Whether a request to *path* is no part of a conversation."""
    return bool(_JUDGES.search(path) or _EMBEDS.search(path))


def said(path: str, request: bytes, status: int, content_type: str, response: bytes) -> Said:
    """Return what an exchange said: the last thing that was sent, and what came back."""
    answer = _Answer()
    if status == 200:
        for payload in _events(content_type, response):
            _answer(path, payload, answer)
    return Said(_asked(path, request), "".join(answer.texts), tuple(filter(None, answer.tools)))


def _asked(path: str, request: bytes) -> str:
    form = re.search(rb'filename="([^"]+)"', request[:1000])
    if form is not None:  # With a sound in it.
        return form[1].decode()
    body = json.loads(request)
    read = next((it for pattern, it in _ASKED if re.search(pattern, path)), _last)
    return read(body)


def _last(body: Any) -> str:
    prompt = body.get("prompt", body.get("input", body.get("inputs")))
    if isinstance(prompt, str):
        return prompt
    last = (body.get("messages") or prompt)[-1]
    content = last.get("content", last.get("output"))
    if isinstance(content, str):
        return content
    texts = [it["text"] for it in content if "text" in it]
    for part in content:
        if "toolResult" in part:
            texts += [it["text"] for it in part["toolResult"]["content"]]
        if part.get("type") == "tool_result":
            texts.append(part["content"])
    return "\n".join(texts)


_ASKED: tuple[tuple[str, Callable[[Any], str]], ...] = (
    (r"/agents/", lambda body: body["inputText"] if "inputText" in body else _last(body)),
    (r"/retrieve$", lambda body: body["retrievalQuery"]["text"]),
    (r"/retrieveAndGenerate", lambda body: body["input"]["text"]),
    (r"/ocr$", lambda body: body["document"]["document_url"]),
)


def _events(content_type: str, body: bytes) -> Iterator[Any]:
    if content_type.startswith(EVENT_STREAM):
        for name, payload in decoded(body):
            raw = base64.b64decode(payload.get("bytes", "")).decode() if name == "chunk" else ""
            yield json.loads(raw) if raw.startswith("{") else raw or payload
    elif content_type.startswith("text/event-stream"):
        for line in body.decode().splitlines():
            if line.startswith("data:") and "[DONE]" not in line:
                yield json.loads(line[5:])
    else:
        yield json.loads(body)


def _answer(path: str, payload: Any, into: _Answer) -> None:
    if isinstance(payload, str):  # An agent of Bedrock's.
        into.texts.append(payload)
    elif "choices" in payload:
        _choice(payload["choices"], into)
    else:
        read = next((it for pattern, it in _ANSWERED if re.search(pattern, path)), _block)
        read(payload, into)


def _generated(payload: Any, into: _Answer) -> None:
    into.texts.append(payload.get("text") or payload.get("output", {}).get("text", ""))


def _pages(payload: Any, into: _Answer) -> None:
    into.texts += [it["markdown"] for it in payload["pages"]]


def _transcript(payload: Any, into: _Answer) -> None:
    if payload.get("type", "transcription.text.delta") == "transcription.text.delta":
        into.texts.append(payload["text"])


def _conversation(payload: Any, into: _Answer) -> None:
    into.texts += [it["content"] for it in payload.get("outputs", ())]
    if payload.get("type") == "message.output.delta":
        into.texts.append(payload["content"])


def _choice(choices: Any, into: _Answer) -> None:
    for choice in choices[:1]:
        message = choice.get("message") or choice.get("delta") or choice
        if message is not choice and isinstance(message.get("content"), str):
            into.texts.append(message["content"])
        if isinstance(choice.get("text"), str):
            into.texts.append(choice["text"])
        into.tools += [it["function"].get("name") for it in message.get("tool_calls") or ()]


def _response(payload: Any, into: _Answer) -> None:
    if payload.get("type") == "response.output_text.delta":
        into.texts.append(payload["delta"])
    for item in payload.get("output", ()):
        into.texts += [it["text"] for it in item.get("content", ()) if it["type"] == "output_text"]
        if item["type"] == "function_call":
            into.tools.append(item["name"])


def _block(payload: Any, into: _Answer) -> None:
    """A body or an event of Converse, of Claude's or of Nova's."""
    message = payload.get("output", {}).get("message", payload)
    for part in message.get("content") or ():
        into.texts.append(part.get("text", ""))
        into.tools.append((part.get("toolUse") or {}).get("name") or part.get("name"))
    delta = payload.get("contentBlockDelta", payload).get("delta") or {}
    into.texts.append(delta.get("text", ""))
    start = payload.get("contentBlockStart", payload)
    start = start.get("start") or start.get("content_block") or {}
    into.tools.append((start.get("toolUse") or {}).get("name") or start.get("name"))


_ANSWERED: tuple[tuple[str, Callable[[Any, _Answer], None]], ...] = (
    (r"/retrieveAndGenerate", _generated),
    (r"/ocr$", _pages),
    (r"/audio/transcriptions$", _transcript),
    (r"/conversations", _conversation),
    (r"/responses$", _response),
)
