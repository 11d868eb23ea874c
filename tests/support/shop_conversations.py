"""The conversations of shop_conversations.yaml as stored spans, for the pictures in the docs."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import yaml

from clew.store.record import ERROR, OK, UNSET, Resource, Scope, SpanRecord

_SECOND = 10**9
_SYSTEM = "You are the assistant of the bicycle shop Speiche, Lindengasse 4. Be brief and exact."
_RESOURCE = Resource({"service.name": "speiche-chat", "telemetry.sdk.language": "python"})
_COST_OF_TOKEN = {"gpt-4o": 2.5e-6}


def shop_sessions(start: int) -> Iterator[list[SpanRecord]]:
    """Yield the spans of each conversation; the first one begins at *start* (in nanoseconds)."""
    random = Random(7)
    text = Path(__file__).with_suffix(".yaml").read_text("utf-8")
    moment = start
    for conversation in yaml.safe_load(text):
        spans: list[SpanRecord] = []
        history = [("system", _SYSTEM)]
        for line in conversation["turns"]:
            spans += _Turn(conversation, line, moment, history, random).spans
            moment += int((line["seconds"] + random.uniform(4, 40)) * _SECOND)
            history += [("user", line["asked"]), ("assistant", line.get("answered", ""))]
        moment += random.randint(60, 4000) * _SECOND
        yield spans


class _Turn:
    """The spans of one turn: documents are found, the model asks for tools, and then answers."""

    def __init__(
        self,
        conversation: dict[str, Any],
        line: dict[str, Any],
        start: int,
        history: list[tuple[str, str]],
        random: Random,
    ) -> None:
        self.spans: list[SpanRecord] = []
        self._conversation = conversation
        self._random = random
        self._trace, self._root = random.randbytes(16), random.randbytes(8)
        asked, answered = line["asked"], line.get("answered", "")
        tools, error = line.get("tools", []), line.get("error", "")
        messages = [*history, ("user", asked)]
        whole = int(line["seconds"] * _SECOND)
        self._now, self._step = start + 10**6, whole // (len(tools) * 2 + 2)
        if found := line.get("found"):
            self._add("search", "RETRIEVER", {"input.value": asked, **_documents(found)})
        if tools:
            self._add_model_call(messages, "", tools)
        for tool in tools:
            values = {"tool.name": tool["name"], "input.value": json.dumps(tool["arguments"])}
            if "result" in tool:
                values["output.value"] = json.dumps(tool["result"])
            self._add(tool["name"], "TOOL", values, tool.get("error", ""))
        self._step = start + whole - self._now - 10**6
        if not any("error" in tool for tool in tools):
            self._add_model_call(messages, answered, [], error)
        outer = {"input.value": asked, "output.value": answered}
        self._now, self._step = start, whole
        self._add("answer", "AGENT", outer, error, is_root=True)

    def _add_model_call(
        self,
        messages: list[tuple[str, str]],
        answer: str,
        tools: list[dict[str, Any]],
        error: str = "",
    ) -> None:
        model = self._conversation["model"]
        values: dict[str, Any] = {"llm.model_name": model}
        for index, (role, text) in enumerate(messages):
            values[f"llm.input_messages.{index}.message.role"] = role
            values[f"llm.input_messages.{index}.message.content"] = text
        if not error:
            key = "llm.output_messages.0.message"
            values |= {f"{key}.role": "assistant", f"{key}.content": answer}
            for index, tool in enumerate(tools):
                call = f"{key}.tool_calls.{index}.tool_call.function"
                values[f"{call}.name"] = tool["name"]
                values[f"{call}.arguments"] = json.dumps(tool["arguments"])
            prompt = sum(len(text) for _, text in messages) // 4 + 20
            completion = len(answer) // 4 + 12 * len(tools)
            values["llm.token_count.prompt"] = prompt
            values["llm.token_count.completion"] = completion
            values["llm.token_count.total"] = prompt + completion
            values["llm.cost.total"] = _COST_OF_TOKEN.get(model, 1.5e-7) * (prompt + 4 * completion)
        self._add("ChatCompletion", "LLM", values, error)

    def _add(
        self,
        name: str,
        kind: str,
        attributes: dict[str, Any],
        error: str = "",
        *,
        is_root: bool = False,
    ) -> None:
        ids = {"session.id": self._conversation["session"], "user.id": self._conversation["user"]}
        self.spans.append(
            SpanRecord(
                trace_id=self._trace,
                span_id=self._root if is_root else self._random.randbytes(8),
                parent_id=None if is_root else self._root,
                name=name,
                start=self._now,
                end=self._now + max(1, self._step),
                attributes={**ids, "openinference.span.kind": kind, **attributes},
                status=ERROR if error else OK if kind == "LLM" else UNSET,
                status_message=error,
                resource=_RESOURCE,
                scope=Scope(
                    f"openinference.instrumentation.{self._conversation['framework']}", "1"
                ),
                flags=0x101,
            )
        )
        self._now += self._step


def _documents(texts: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for index, text in enumerate(texts):
        key = f"retrieval.documents.{index}.document"
        values |= {f"{key}.id": f"guide-{index}", f"{key}.content": text}
        values[f"{key}.score"] = 0.91 - index / 10
    return values
