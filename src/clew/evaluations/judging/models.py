"""Asks a model: a client that speaks as OpenAI's does, or any function of messages."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clew.core.errors import ClewError, EvaluationError
from clew.spans.cost import cost_attributes
from clew.spans.price_list import prices_are_installed

Messages = list[dict[str, str]]

_REFUSES_FORMAT = {400, 404, 422}
"""What servers answer that do not know a schema for the answer, or not with this model."""
_PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "generativelanguage.googleapis.com": "google",
    "api.mistral.ai": "mistral",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
    "api.x.ai": "x-ai",
}
"""Whose prices apply, by the host that is asked."""


class JudgeError(ClewError, ValueError):
    """A judge whose answer cannot be used: it is no verdict, and never a score."""

    cost: float | None = None
    """What the answer cost all the same, in US dollars, where it is known."""


class Answer(NamedTuple):
    """What a model answered, and what is known of that."""

    text: str
    metadata: Mapping[str, object]
    """The ``model``, the numbers of ``prompt_tokens`` and ``completion_tokens``, the ``cost``."""
    problem: str = ""
    """Why the text is not the whole answer; empty if it is."""


@dataclass
class Asker:
    """Asks one model, always in the same way."""

    client: Any
    model: str | None
    provider: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    _takes_format: bool = True
    """Until the server refuses one, and answers without it."""

    def __post_init__(self) -> None:
        self._create: Callable[..., Any] | None = _create_of(self.client)
        if self._create is None and not callable(self.client):
            message = (
                f"client={self.client!r:.80} must be a client that speaks as OpenAI's does, with "
                "client.chat.completions.create, or a function that is given messages and returns "
                "a text"
            )
            raise EvaluationError(message)
        if self._create is not None and not (isinstance(self.model, str) and self.model):
            message = f"model={self.model!r:.80}: say which model the client is to ask"
            raise EvaluationError(message)
        if not self.provider:
            self.provider = _provider_at(getattr(self.client, "base_url", ""))

    async def ask(self, messages: Messages, schema: Mapping[str, Any]) -> Answer:
        """Return the answer to *messages*, of the form of *schema* if the server knows how."""
        if self._create is None:
            text = await _called(self.client, messages)
            known = {"model": self.model} if self.model else {}
            problem = "" if isinstance(text, str) else f"it is a {type(text).__name__}, no text"
            return Answer(text if isinstance(text, str) else "", known, problem)
        given = {"model": self.model, "messages": messages, **self.options}
        if not self._takes_format:
            return await self._read(await _called(self._create, **given))
        wanted = {"name": "verdict", "strict": True, "schema": schema}
        response_format = {"type": "json_schema", "json_schema": wanted}
        try:
            found = await _called(self._create, **given, response_format=response_format)
        except Exception as error:
            if not _refuses_format(error):
                raise
            # If it is refused again, the format was not to blame.
            found = await _called(self._create, **given)
            self._takes_format = False
        return await self._read(found)

    async def _read(self, response: Any) -> Answer:
        choices = _get(response, "choices")
        choice = choices[0] if isinstance(choices, list | tuple) and choices else None
        message = _get(choice, "message")
        text = _get(message, "content")
        metadata = self._metadata(response)
        if metadata.get("prompt_tokens") is not None and prices_are_installed():
            # The price list is loaded for the first one, which takes half a second.
            metadata |= await asyncio.to_thread(self._cost, metadata, _get(response, "usage"))
        finished = _get(choice, "finish_reason")
        problem = ""
        if refusal := _get(message, "refusal"):
            problem = f"it refuses: {str(refusal)[:200]}"
        elif finished == "length":
            problem = "it was cut at the greatest number of tokens; allow more with options="
        elif finished == "content_filter":
            problem = "it was filtered by the provider"
        elif not isinstance(text, str):
            problem = "it has no text"
        return Answer(text if isinstance(text, str) else "", metadata, problem)

    def _metadata(self, response: Any) -> dict[str, object]:
        usage = _get(response, "usage")
        known = {
            "model": _get(response, "model") or self.model,
            "prompt_tokens": _get(usage, "prompt_tokens"),
            "completion_tokens": _get(usage, "completion_tokens"),
        }
        return {key: value for key, value in known.items() if isinstance(value, str | int)}

    def _cost(self, metadata: Mapping[str, Any], usage: Any) -> dict[str, object]:
        cached = _get(_get(usage, "prompt_tokens_details"), "cached_tokens")
        attributes = {
            "llm.provider": self.provider,
            "llm.token_count.prompt": metadata["prompt_tokens"],
            "llm.token_count.completion": metadata.get("completion_tokens", 0),
            "llm.token_count.prompt_details.cache_read": cached or None,
        }
        for model in dict.fromkeys((metadata.get("model"), self.model)):
            if found := cost_attributes({**attributes, "llm.model_name": model}):
                return {"cost": found["llm.cost.total"]}
        return {}


def _create_of(client: Any) -> Callable[..., Any] | None:
    create = getattr(getattr(getattr(client, "chat", None), "completions", None), "create", None)
    return create if callable(create) else None


async def _called(function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Call a function that may be asynchronous, or may block, in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*given, **named)
    found = await asyncio.to_thread(function, *given, **named)
    return await found if inspect.isawaitable(found) else found


def _refuses_format(error: Exception) -> bool:
    if isinstance(error, TypeError):  # A client that knows no such argument.
        return "response_format" in str(error)
    return getattr(error, "status_code", None) in _REFUSES_FORMAT


def _provider_at(url: object) -> str:
    host = str(url).partition("://")[2].partition("/")[0].partition(":")[0].lower()
    found = (name for end, name in _PROVIDERS.items() if host == end or host.endswith(f".{end}"))
    return next(found, "")


def _get(found: Any, name: str) -> Any:
    """Return an attribute, or an item of what a client returns as a dict."""
    return found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)
