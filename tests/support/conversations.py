"""Generates realistic conversations as stored spans: the same ones for the same seed.

A session has 1 to 40 turns, most of them few. A turn is what a retrieval chain or an agent leaves:
a chain around a retrieval, one or more model calls with the whole history, and tool calls. Some
calls fail. Users come back: a few of them have most of the sessions.
"""

import json
from collections.abc import Iterator
from random import Random

from clew.store.record import ERROR, OK, UNSET, Event, Resource, Scope, SpanRecord

_WORDS = """
order parcel bicycle saddle invoice refund delivery address tomorrow brake wheel colour size return
warranty please could you tell me when the about my is was it arrived broken changed thank sorry
today price discount chain light battery helmet child green blue shop open closed street number
letter account password reset email wrong again still waiting week month
""".split()  # noqa: SIM905 - easier to read than quotes around each
_MODELS = ("gpt-4o-mini", "gpt-4o", "mistral-small-latest", "claude-3-5-haiku", "nova-lite")
_TOOLS = ("get_order", "find_parcel", "opening_hours", "refund")
_KIND = "openinference.span.kind"
_SECOND = 10**9
RESOURCE = Resource({"service.name": "shop", "telemetry.sdk.language": "python"})
_SCOPES = {
    name: Scope(f"openinference.instrumentation.{name}", "1.0")
    for name in ("langchain", "openai", "mistralai")
}


class Conversations:
    """Makes sessions one after the other, each starting a little later than the one before."""

    def __init__(
        self,
        seed: int = 1,
        users: int = 5000,
        start: int = 1_750_000_000,
        *,
        length: float = 1.0,
        window: int | None = None,
    ) -> None:
        """Make sessions *length* times as long; a model sees the last *window* messages only."""
        self._random = Random(seed)
        self._users = users
        self._length, self._window = length, window
        self._now = start * _SECOND
        self._number = 0

    def sessions(self, number: int) -> Iterator[list[SpanRecord]]:
        """Yield *number* sessions, each with all its spans."""
        for _ in range(number):
            yield self._session()

    def _session(self) -> list[SpanRecord]:
        random = self._random
        self._number += 1
        self._now += random.randint(1, 60) * _SECOND
        ids = {
            "session.id": f"session-{self._number:07}",
            "user.id": f"user-{min(int(random.paretovariate(0.6)), self._users):05}",
        }
        framework = random.choice(tuple(_SCOPES))
        model = random.choice(_MODELS)
        history: list[tuple[str, str]] = [("system", "You are the assistant of a bicycle shop.")]
        spans: list[SpanRecord] = []
        moment = self._now
        for _ in range(min(40, int(self._length * random.paretovariate(0.9)))):
            if self._window is not None:
                del history[1 : max(1, len(history) - self._window)]
            turn = _Turn(random, ids, _SCOPES[framework], model, moment, history)
            spans += turn.spans
            moment = turn.end + random.randint(2, 90) * _SECOND
        return spans


class _Turn:
    """One question of a user and what was done for it."""

    def __init__(
        self,
        random: Random,
        ids: dict[str, str],
        scope: Scope,
        model: str,
        start: int,
        history: list[tuple[str, str]],
    ) -> None:
        self.spans: list[SpanRecord] = []
        self._random, self._ids, self._scope, self._model = random, ids, scope, model
        self._trace = random.randbytes(16)
        self._root = random.randbytes(8)
        question = _sentence(random, 4, 30)
        history.append(("user", question))
        moment = start + random.randint(1, 9) * 10**6
        if random.random() < 0.5:
            moment = self._add("retrieve", "RETRIEVER", moment, 80, _documents(random, question))
        failed = random.random() < 0.03
        if random.random() < 0.4:
            tool = random.choice(_TOOLS)
            moment = self._model_call(moment, history, "", tool=tool)
            arguments = json.dumps({"number": random.randint(1000, 9999)})
            result = json.dumps({"status": _sentence(random, 2, 6)})
            attributes = {"tool.name": tool, "input.value": arguments, "output.value": result}
            error = "TimeoutError: no answer in 5 s" if random.random() < 0.05 else ""
            moment = self._add(tool, "TOOL", moment, 200, attributes, error)
            history.append(("tool", result))
        answer = "" if failed else _sentence(random, 10, 80)
        error = "RateLimitError: 429 Too Many Requests" if failed else ""
        moment = self._model_call(moment, history, answer, error)
        if answer:
            history.append(("assistant", answer))
        self.end = moment + 10**6
        attributes = {"input.value": question, "output.value": answer}
        self._add("chain", "CHAIN", start, 0, attributes, error, self.end)

    def _model_call(
        self,
        start: int,
        history: list[tuple[str, str]],
        answer: str,
        error: str = "",
        tool: str = "",
    ) -> int:
        attributes: dict[str, object] = {
            "llm.model_name": self._model,
            "llm.provider": "openai",
            "llm.invocation_parameters": '{"temperature": 0.2, "max_tokens": 512}',
        }
        for index, (role, text) in enumerate(history):
            attributes[f"llm.input_messages.{index}.message.role"] = role
            attributes[f"llm.input_messages.{index}.message.content"] = text
        if not error:
            prefix = "llm.output_messages.0.message"
            attributes[f"{prefix}.role"] = "assistant"
            if tool:
                attributes[f"{prefix}.tool_calls.0.tool_call.function.name"] = tool
                attributes[f"{prefix}.tool_calls.0.tool_call.function.arguments"] = "{}"
            else:
                attributes[f"{prefix}.content"] = answer
            prompt = sum(len(text) for _, text in history) // 4
            completion = max(8, len(answer) // 4)
            counts = {"prompt": prompt, "completion": completion, "total": prompt + completion}
            attributes |= {f"llm.token_count.{name}": count for name, count in counts.items()}
            attributes["llm.cost.total"] = prompt * 15e-8 + completion * 6e-7
        return self._add("ChatCompletion", "LLM", start, 1500, attributes, error)

    def _add(
        self,
        name: str,
        kind: str,
        start: int,
        milliseconds: int,
        attributes: dict[str, object],
        error: str = "",
        end: int = 0,
    ) -> int:
        end = end or start + int(self._random.lognormvariate(0, 0.5) * milliseconds * 10**6)
        is_root = kind == "CHAIN"
        event = Event("exception", end, {"exception.message": error, "exception.type": "Error"})
        self.spans.append(
            SpanRecord(
                self._trace,
                self._root if is_root else self._random.randbytes(8),
                None if is_root else self._root,
                name,
                start,
                end,
                {_KIND: kind, **self._ids, **attributes},  # type: ignore[dict-item]
                status=ERROR if error else (OK if kind != "TOOL" else UNSET),
                status_message=error,
                events=(event,) if error else (),
                resource=RESOURCE,
                scope=self._scope,
            )
        )
        return end


def _sentence(random: Random, least: int, most: int) -> str:
    return " ".join(random.choices(_WORDS, k=random.randint(least, most)))


def _documents(random: Random, question: str) -> dict[str, object]:
    attributes: dict[str, object] = {"input.value": question}
    for index in range(3):
        prefix = f"retrieval.documents.{index}.document"
        attributes[f"{prefix}.content"] = _sentence(random, 40, 120)
        attributes[f"{prefix}.score"] = round(random.random(), 3)
    return attributes
