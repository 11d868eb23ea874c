"""Draft: a message while its parts are being read, in whatever form it was recorded."""

from dataclasses import dataclass, field
from typing import Any

from clew.sessions.json_values import dump, storable, text
from clew.sessions.model import Media, Message, ToolRequest

ROLES = {
    "human": "user",
    "HumanMessage": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "model": "assistant",
    "chatbot": "assistant",
    "developer": "system",
    "SystemMessage": "system",
    "function": "tool",
    "ToolMessage": "tool",
    "FunctionMessage": "tool",
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "tool": "tool",
}
"""The roles by all the names that providers and frameworks have for them."""


@dataclass(slots=True)
class Draft:
    """What has been read of a message so far."""

    role: str = ""
    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    requests: list[ToolRequest] = field(default_factory=list)
    media: list[Media] = field(default_factory=list)
    request_id: str = ""
    name: str = ""
    results: list[str] = field(default_factory=list)
    """What tools returned, which Anthropic and Bedrock put into messages of the user."""
    answers_tool: bool = False

    def say(self, value: object) -> None:
        """Add a text."""
        if isinstance(value, str) and value:
            self.texts.append(value)

    def think(self, value: object) -> None:
        """Add a thought that a model has shown."""
        if isinstance(value, str) and value:
            self.reasoning.append(value)

    def request(self, name: Any, arguments: Any, identity: Any) -> None:
        """Add a tool that is asked for."""
        if name or arguments:
            self.requests.append(ToolRequest(text(name), dump(arguments), text(identity)))

    def answer_tool(self, identity: Any, result: str = "") -> None:
        """Note that a tool has returned something."""
        self.answers_tool = True
        self.request_id = self.request_id or text(identity)
        if result:
            self.results.append(result)

    def done(self, default_role: str) -> Message:
        """Return the message.

        The texts of a model are one text that a provider has cut, and Bedrock's Nova cuts it in
        mid-sentence. Those of anybody else are paragraphs.
        """
        role, texts = ROLES.get(self.role, self.role) or default_role, self.texts
        if self.answers_tool and not (texts and role == "user"):
            # Otherwise the user has said something besides.
            role, texts = "tool", self.results or texts
        between = "" if role == "assistant" else "\n"
        return Message(
            role,
            storable(between.join(texts)),
            tuple(self.requests),
            tuple(self.media),
            self.request_id,
            text(self.name),
            storable("\n".join(self.reasoning)),
        )
