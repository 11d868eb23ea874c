"""Requests, replies, events and their records, which the transport and the wire formats share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """Tokens as a usage block states them.

    ``prompt`` counts every input token, those read from a cache included, the way OpenAI does it.
    Bedrock and Anthropic state cached tokens apart; their wires subtract when they write.
    """

    prompt: int = 0
    completion: int = 0
    total: int = 0
    cached: int = 0
    reasoning: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.total + other.total,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True)
class Request:
    """One HTTP request, decoded once. ``path`` is percent-decoded and has no query string."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    body: Any = None

    @property
    def fields(self) -> Json:
        """The body as a JSON object; a missing or different body reads as an empty one."""
        return self.body if isinstance(self.body, dict) else {}


@dataclass(frozen=True)
class Event:
    """One event of a stream, framed and ready to write, with the usage it tells the client."""

    data: bytes
    usage: Usage | None = None


@dataclass(frozen=True)
class Reply:
    """An answer to a request: either a ``body``, or ``events`` written and flushed one by one.

    ``breakage`` makes the event by which a stream reports its own failure. Wires that have no
    such event leave it out, and their streams break off by a closed connection.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    usage: Usage | None = None
    embedding_tokens: int = 0
    events: Iterator[Event] | None = None
    breakage: Callable[[int], Event] | None = None


@dataclass(frozen=True)
class Exchange:
    """The record of one request and of what it was answered; ``status`` 0 means not answered."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    raw: bytes
    status: int = 0
    stream: bool = False
    usage: Usage | None = None
    content_type: str = ""
    response: bytes = b""
    """The body that was sent, as far as it was: a stream that is broken off has only its start."""


def json_reply(
    payload: Any,
    status: int = 200,
    *,
    headers: Mapping[str, str] | None = None,
    usage: Usage | None = None,
    embedding_tokens: int = 0,
) -> Reply:
    """A reply with a JSON body."""
    return Reply(
        status=status,
        headers={"content-type": "application/json", **(headers or {})},
        body=json.dumps(payload).encode(),
        usage=usage,
        embedding_tokens=embedding_tokens,
    )


def sse(payload: Any, *, name: str | None = None, usage: Usage | None = None) -> Event:
    """A server-sent event: a string is sent as it stands, anything else as JSON."""
    text = payload if isinstance(payload, str) else json.dumps(payload, separators=(",", ":"))
    head = f"event: {name}\n" if name else ""
    return Event(f"{head}data: {text}\n\n".encode(), usage)


def sse_reply(events: Iterator[Event], headers: Mapping[str, str] | None = None) -> Reply:
    """A reply whose events are sent as a ``text/event-stream``."""
    kind = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    return Reply(headers={**kind, **(headers or {})}, events=events)
