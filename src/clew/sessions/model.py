"""What a conversation consists of: sessions of turns, turns of calls, calls of messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

CallKind = Literal["model", "tool", "retrieval", "embedding", "reranking", "guardrail", "agent"]


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a sound or a file in a message."""

    kind: Literal["image", "audio", "file"]
    url: str = ""
    """Where it is, or a ``data:`` URL with its content; empty if it was not recorded."""
    mime_type: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool that a model asked to be called."""

    name: str
    arguments: str = ""
    """As the model wrote them, usually JSON."""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    """``user``, ``assistant``, ``system`` or ``tool``."""
    text: str = ""
    tool_requests: tuple[ToolRequest, ...] = ()
    media: tuple[Media, ...] = ()
    tool_request_id: str = ""
    """The request that the message of a tool answers."""
    name: str = ""
    reasoning: str = ""
    """What a model thought before it answered, where it says so."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document that a retrieval found."""

    text: str
    id: str = ""
    score: float | None = None
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The numbers of tokens that model calls report; None where they report none."""

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None
    cached: int | None = None
    """Those of the prompt that the provider read from its cache."""
    reasoning: int | None = None
    """Those of the completion that the model spent on thinking."""


@dataclass(frozen=True, slots=True)
class Call:
    """Something that was done for a turn: a model, a tool or a retrieval was called."""

    kind: CallKind
    name: str
    span_id: bytes
    parent_id: bytes | None
    """The span id of the call around it (an agent's, say), if there is one."""
    start: int
    end: int
    model: str = ""
    provider: str = ""
    framework: str = ""
    """The framework whose span it is, such as ``langchain``."""
    input: tuple[Message, ...] = ()
    """What was sent to the model, with the system's prompt, the history, the user's message."""
    output: tuple[Message, ...] = ()
    """What it returned, which is one message, one for each item, or several to choose from."""
    choices: int = 1
    """How many answers to choose from a model was asked for."""
    arguments: str = ""
    """What a tool was called with, or a retrieval was asked for."""
    result: str = ""
    """What a tool returned."""
    documents: tuple[Document, ...] = ()
    tokens: Tokens = Tokens()
    cost: float | None = None
    time_to_first_token: float | None = None
    """Seconds, where the instrumentation records the first token."""
    error: str = ""
    """What went wrong; empty if nothing did."""
    finish_reason: str = ""
    """Why a model stopped, in the provider's word in lower case, such as ``stop`` or ``length``."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.start) / 1e9


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a signal has noticed in a turn."""

    name: str
    """The signal, such as ``corrects`` or ``tool_error``."""
    score: float
    """How strong it is: more than 0, at most 1."""
    span_id: bytes
    """The span that it speaks of: the call that failed, or the one that gave the answer."""
    words: str = ""
    """What gave it away, in the words of the conversation, shortened."""


@dataclass(frozen=True, slots=True)
class BadTurn:
    """A turn in which the user is annoyed, or in which something failed."""

    turn: int
    """Its number, from 1: it is ``session.turns[turn - 1]``."""
    kind: Literal["friction", "failure"]
    score: float
    """How likely it is bad, from 0 to 1."""
    trace_id: bytes
    root_id: bytes
    """The ``Turn.root_id`` of the turn."""
    span_id: bytes
    """The call that failed; or the one that gave the answer about which the user is annoyed."""
    cause_id: bytes
    """Where a tool failed: the model call before it, which asked for it. Else the same span."""
    signals: tuple[str, ...] = ()
    """What was noticed, the strongest first."""
    words: str = ""
    """What gave it away, in the words of the conversation."""
    cause_trace_id: bytes = b""
    """The trace of these two spans; where an answer annoyed, that of the turn before."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user said once, and all that was done and said until the answer."""

    session_id: str
    trace_id: bytes
    root_id: bytes
    """The span that contains the whole turn, or its first one."""
    user_id: str
    start: int
    end: int
    input: Message
    """What the user said."""
    output: Message
    """What came back."""
    calls: tuple[Call, ...] = ()
    """In the order of their start; a call inside another one comes after it."""
    spans: int = 0
    tokens: Tokens = Tokens()
    cost: float | None = None
    time_to_first_token: float | None = None
    errors: int = 0
    """How many of its spans failed."""
    error: str = ""
    """The first thing that went wrong; empty if nothing did."""
    models: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    friction: float | None = None
    """How likely the user is annoyed in it, from 0 to 1; None if it is not scored."""
    failure: float | None = None
    """How likely something went technically wrong in it, from 0 to 1; None if it is not scored."""
    findings: tuple[Finding, ...] = ()
    """What the signals have noticed in it."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.start) / 1e9

    @property
    def spoken(self) -> bool:
        """Whether anything was said in it.

        Nothing was where only documents were embedded, say, or a text was judged. Such a turn
        counts in a session's sums, but is not one of its turns.
        """
        return _says(self.input) or _says(self.output)

    @property
    def started(self) -> datetime:
        """When it began, in local time."""
        return datetime.fromtimestamp(self.start / 1e9).astimezone()


def _says(message: Message) -> bool:
    return bool(message.text or message.tool_requests or message.media)
