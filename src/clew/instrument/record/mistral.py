"""What Mistral's SDK can call that upstream's instrumentor does not trace."""

from collections.abc import Iterable, Iterator
from typing import Any

from clew.instrument.record.attributes import EMBEDDING, GUARDRAIL, LLM, Json, Message
from clew.instrument.record.endpoint_spans import Endpoint, Provider

# --- what requests say ---


def _gap(request: Json) -> Iterable[Message]:
    """What is before the gap, and what is behind it."""
    texts = (request.get("prompt"), request.get("suffix"))
    return [{"role": "user", "content": text} for text in texts if text]


def _inputs(request: Json) -> Iterator[Message]:
    if instructions := request.get("instructions"):
        yield {"role": "system", "content": instructions}
    inputs = request.get("inputs")
    if isinstance(inputs, list):
        yield from map(_message, inputs)
    elif inputs:
        yield {"role": "user", "content": inputs}


def _document(request: Json) -> Iterable[Message]:
    document = request.get("document")
    if not isinstance(document, dict):
        return ()
    found = document.get("document_url") or document.get("file_id") or [document]
    return [{"role": "user", "content": found}]


def _recording(request: Json) -> Iterable[Message]:
    file = request.get("file")
    name = file.get("file_name", file.get("fileName")) if isinstance(file, dict) else None
    sound = name or request.get("file_url") or request.get("file_id")
    return [{"role": "user", "content": sound}] if sound else ()


# --- what answers say ---


def _choices(answer: Json) -> Iterator[Message]:
    for choice in answer.get("choices") or ():
        yield choice.get("message") or {}


def _outputs(answer: Json) -> Iterator[Message]:
    yield from map(_message, answer.get("outputs") or ())


def _pages(answer: Json) -> Iterable[Message]:
    texts = [page.get("markdown") or "" for page in answer.get("pages") or ()]
    return [{"role": "assistant", "content": "\n\n".join(texts)}]


def _transcript(answer: Json) -> Iterable[Message]:
    return [{"role": "assistant", "content": answer.get("text")}]


def _message(entry: Any) -> Message:
    """Return an entry of a conversation as the message that it stands for."""
    if not isinstance(entry, dict):
        return {"role": "user", "content": entry}
    match entry.get("type"):
        case "function.call" | "tool.execution":
            function = {"name": entry.get("name"), "arguments": entry.get("arguments")}
            call = {"id": entry.get("tool_call_id") or entry.get("id"), "function": function}
            return {"role": "assistant", "tool_calls": [call]}
        case "function.result":
            call_id = entry.get("tool_call_id")
            return {"role": "tool", "content": entry.get("result"), "tool_call_id": call_id}
        case "agent.handoff":
            return {"role": "assistant", "content": f"-> {entry.get('next_agent_name')}"}
        case kind:
            role = "assistant" if kind == "message.output" else "user"
            return {"role": entry.get("role") or role, "content": entry.get("content")}


# --- events, put together ---


def _gather_choices(answer: Json, chunk: Json) -> None:
    answer |= {key: it for key, it in chunk.items() if key != "choices" and it is not None}
    choices = answer.setdefault("choices", [])
    for delta in chunk.get("choices") or ():
        index = delta.get("index", 0)
        choice = next((it for it in choices if it["index"] == index), None)
        if choice is None:
            choice = {"index": index, "message": {"role": "assistant", "content": ""}}
            choices.append(choice)
        said = delta.get("delta") or {}
        choice["message"]["content"] += said.get("content") or ""
        if reason := delta.get("finish_reason"):
            choice["finish_reason"] = reason


def _gather_entries(answer: Json, event: Json) -> None:
    match event.get("type"):
        case "conversation.response.started":
            answer["conversation_id"] = event.get("conversation_id")
        case "message.output.delta":
            _append(_entry(answer, event, "message.output"), event.get("content"))
        case "function.call.delta":
            entry = _entry(answer, event, "function.call")
            entry["arguments"] = entry.get("arguments", "") + event.get("arguments", "")
        case "tool.execution.started" | "tool.execution.done":
            entry = _entry(answer, event, "tool.execution")
            entry |= {key: event[key] for key in ("arguments", "info") if key in event}
        case "agent.handoff.done":
            entry = _entry(answer, event, "agent.handoff")
            entry["next_agent_name"] = event.get("next_agent_name")
        case "conversation.response.done":
            answer["usage"] = event.get("usage")
        case "conversation.response.error":
            answer["error"] = f"{event.get('code')}: {event.get('message')}"
        case _:
            pass  # A kind of event that is newer than this.


def _entry(answer: Json, event: Json, kind: str) -> Json:
    """Return the entry of the answer that *event* is a part of."""
    outputs: list[Json] = answer.setdefault("outputs", [])
    for entry in outputs:
        if entry["id"] == event.get("id"):
            return entry
    kept = ("id", "model", "agent_id", "role", "name", "tool_call_id")
    outputs.append({"type": kind} | {key: event.get(key) for key in kept if key in event})
    outputs[-1].setdefault("id", None)
    return outputs[-1]


def _append(entry: Json, content: Any) -> None:
    """Add *content* to an entry: to its text, as long as it is text."""
    known = entry.get("content", "")
    if isinstance(known, str) and isinstance(content, str):
        entry["content"] = known + content
        return
    chunks = [{"type": "text", "text": known}] if isinstance(known, str) and known else known or []
    if isinstance(content, str) and chunks and "text" in chunks[-1]:
        chunks[-1]["text"] += content
    else:
        chunks.append({"type": "text", "text": content} if isinstance(content, str) else content)
    entry["content"] = chunks


def _gather_transcript(answer: Json, event: Json) -> None:
    match event.get("type"):
        case "transcription.text.delta":
            answer["text"] = answer.get("text", "") + event.get("text", "")
        case "transcription.language":
            answer["language"] = event.get("audio_language")
        case "transcription.segment":
            answer.setdefault("segments", []).append(event)
        case "transcription.done":
            answer |= {key: it for key, it in event.items() if key != "type"}
        case _:
            pass  # As above.


# --- the table ---


def _both(*methods: str) -> tuple[str, ...]:
    """Return *methods* and their asynchronous twins."""
    return (*methods, *(f"{name}_async" for name in methods))


MISTRAL = Provider(
    sync_client="MistralClient",
    async_client="MistralAsyncClient",
    name="mistralai",
    system="mistralai",
    own_options=("retries", "server_url", "timeout_ms", "http_headers"),
)

# A document that is read and a recording that is heard are a model's answers to what it is given,
# by tokens or pages: LLM. What judges the messages of others answers nobody: GUARDRAIL, which
# nothing counts among the turns of a conversation.
ENDPOINTS = (
    Endpoint(
        owner="mistralai.client.fim:Fim",
        methods=_both("complete", "stream"),
        name="fim",
        kind=LLM,
        content=("prompt", "suffix"),
        asked=_gap,
        answered=_choices,
        gather=_gather_choices,
    ),
    Endpoint(
        owner="mistralai.client.embeddings:Embeddings",
        methods=_both("create"),
        name="embeddings",
        kind=EMBEDDING,
        content=("inputs",),
    ),
    Endpoint(
        owner="mistralai.client.conversations:Conversations",
        methods=_both(
            *("start", "append", "restart"), *("start_stream", "append_stream", "restart_stream")
        ),
        name="conversations",
        kind=LLM,
        content=("inputs", "instructions", "tools"),
        asked=_inputs,
        answered=_outputs,
        gather=_gather_entries,
    ),
    Endpoint(
        owner="mistralai.client.ocr:Ocr",
        methods=_both("process"),
        name="ocr",
        kind=LLM,
        content=("document", "document_annotation_prompt"),
        asked=_document,
        answered=_pages,
    ),
    Endpoint(
        owner="mistralai.client.classifiers:Classifiers",
        methods=_both("moderate", "moderate_chat", "classify", "classify_chat"),
        name="classifiers",
        kind=GUARDRAIL,
        content=("inputs", "input"),
    ),
    Endpoint(
        owner="mistralai.client.transcriptions:Transcriptions",
        methods=_both("complete", "stream"),
        name="transcriptions",
        kind=LLM,
        content=("file", "file_url", "file_id"),
        asked=_recording,
        answered=_transcript,
        gather=_gather_transcript,
    ),
)
