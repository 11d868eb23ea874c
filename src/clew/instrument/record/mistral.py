"""The methods of Mistral's SDK that upstream's instrumentor does not trace."""

from collections.abc import Iterable, Iterator
from typing import Any

from clew.instrument.record.attributes import EMBEDDING, GUARDRAIL, LLM, Json, Message
from clew.instrument.record.endpoint_spans import Endpoint, Provider

# --- messages in requests ---


def _prompt_and_suffix(request: Json) -> Iterable[Message]:
    """Return the texts before and after the gap to fill."""
    texts = (request.get("prompt"), request.get("suffix"))
    return [{"role": "user", "content": text} for text in texts if text]


def _conversation_inputs(request: Json) -> Iterator[Message]:
    if instructions := request.get("instructions"):
        yield {"role": "system", "content": instructions}
    inputs = request.get("inputs")
    if isinstance(inputs, list):
        yield from map(_entry_message, inputs)
    elif inputs:
        yield {"role": "user", "content": inputs}


def _document(request: Json) -> Iterable[Message]:
    document = request.get("document")
    if not isinstance(document, dict):
        return ()
    content = document.get("document_url") or document.get("file_id") or [document]
    return [{"role": "user", "content": content}]


def _audio(request: Json) -> Iterable[Message]:
    file = request.get("file")
    name = file.get("file_name", file.get("fileName")) if isinstance(file, dict) else None
    content = name or request.get("file_url") or request.get("file_id")
    return [{"role": "user", "content": content}] if content else ()


# --- messages in responses ---


def _choice_messages(response: Json) -> Iterator[Message]:
    for choice in response.get("choices") or ():
        yield choice.get("message") or {}


def _conversation_outputs(response: Json) -> Iterator[Message]:
    yield from map(_entry_message, response.get("outputs") or ())


def _page_text(response: Json) -> Iterable[Message]:
    texts = [page.get("markdown") or "" for page in response.get("pages") or ()]
    return [{"role": "assistant", "content": "\n\n".join(texts)}]


def _transcript(response: Json) -> Iterable[Message]:
    return [{"role": "assistant", "content": response.get("text")}]


def _entry_message(entry: Any) -> Message:
    """Convert an entry of a conversation to a message."""
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


# --- responses from the events of a stream ---


def _add_choices(response: Json, chunk: Json) -> None:
    response |= {key: it for key, it in chunk.items() if key != "choices" and it is not None}
    choices = response.setdefault("choices", [])
    for delta in chunk.get("choices") or ():
        index = delta.get("index", 0)
        choice = next((it for it in choices if it["index"] == index), None)
        if choice is None:
            choice = {"index": index, "message": {"role": "assistant", "content": ""}}
            choices.append(choice)
        message = delta.get("delta") or {}
        choice["message"]["content"] += message.get("content") or ""
        if reason := delta.get("finish_reason"):
            choice["finish_reason"] = reason


def _add_entry_event(response: Json, event: Json) -> None:
    match event.get("type"):
        case "conversation.response.started":
            response["conversation_id"] = event.get("conversation_id")
        case "message.output.delta":
            _append(_entry(response, event, "message.output"), event.get("content"))
        case "function.call.delta":
            entry = _entry(response, event, "function.call")
            entry["arguments"] = entry.get("arguments", "") + event.get("arguments", "")
        case "tool.execution.started" | "tool.execution.done":
            entry = _entry(response, event, "tool.execution")
            entry |= {key: event[key] for key in ("arguments", "info") if key in event}
        case "agent.handoff.done":
            entry = _entry(response, event, "agent.handoff")
            entry["next_agent_name"] = event.get("next_agent_name")
        case "conversation.response.done":
            response["usage"] = event.get("usage")
        case "conversation.response.error":
            response["error"] = f"{event.get('code')}: {event.get('message')}"
        case _:
            pass  # An event type that is newer than this code.


def _entry(response: Json, event: Json, kind: str) -> Json:
    """Return the entry of the response that *event* is a part of."""
    outputs: list[Json] = response.setdefault("outputs", [])
    for entry in outputs:
        if entry["id"] == event.get("id"):
            return entry
    kept = ("id", "model", "agent_id", "role", "name", "tool_call_id")
    outputs.append({"type": kind} | {key: event.get(key) for key in kept if key in event})
    outputs[-1].setdefault("id", None)
    return outputs[-1]


def _append(entry: Json, content: Any) -> None:
    """Append *content* to an entry: to its text, or as a chunk."""
    old = entry.get("content", "")
    if isinstance(old, str) and isinstance(content, str):
        entry["content"] = old + content
        return
    chunks = [{"type": "text", "text": old}] if isinstance(old, str) and old else old or []
    if isinstance(content, str) and chunks and "text" in chunks[-1]:
        chunks[-1]["text"] += content
    else:
        chunks.append({"type": "text", "text": content} if isinstance(content, str) else content)
    entry["content"] = chunks


def _add_transcript_event(response: Json, event: Json) -> None:
    match event.get("type"):
        case "transcription.text.delta":
            response["text"] = response.get("text", "") + event.get("text", "")
        case "transcription.language":
            response["language"] = event.get("audio_language")
        case "transcription.segment":
            response.setdefault("segments", []).append(event)
        case "transcription.done":
            response |= {key: value for key, value in event.items() if key != "type"}
        case _:
            pass  # As above.


# --- the table ---


def _sync_and_async(*methods: str) -> tuple[str, ...]:
    """Return *methods* and their asynchronous variants."""
    return (*methods, *(f"{name}_async" for name in methods))


MISTRAL = Provider(
    sync_client="MistralClient",
    async_client="MistralAsyncClient",
    name="mistralai",
    system="mistralai",
    connection_arguments=("retries", "server_url", "timeout_ms", "http_headers"),
)

# OCR and transcription are a model's answers to its input, by tokens or pages: LLM. Classifiers
# judge the messages of others and answer nobody: GUARDRAIL, which nothing counts among the turns of
# a conversation.
ENDPOINTS = (
    Endpoint(
        owner="mistralai.client.fim:Fim",
        methods=_sync_and_async("complete", "stream"),
        name="fim",
        kind=LLM,
        input_arguments=("prompt", "suffix"),
        input_messages=_prompt_and_suffix,
        output_messages=_choice_messages,
        add_event=_add_choices,
    ),
    Endpoint(
        owner="mistralai.client.embeddings:Embeddings",
        methods=_sync_and_async("create"),
        name="embeddings",
        kind=EMBEDDING,
        input_arguments=("inputs",),
    ),
    Endpoint(
        owner="mistralai.client.conversations:Conversations",
        methods=_sync_and_async(
            *("start", "append", "restart"), *("start_stream", "append_stream", "restart_stream")
        ),
        name="conversations",
        kind=LLM,
        input_arguments=("inputs", "instructions", "tools"),
        input_messages=_conversation_inputs,
        output_messages=_conversation_outputs,
        add_event=_add_entry_event,
    ),
    Endpoint(
        owner="mistralai.client.ocr:Ocr",
        methods=_sync_and_async("process"),
        name="ocr",
        kind=LLM,
        input_arguments=("document", "document_annotation_prompt"),
        input_messages=_document,
        output_messages=_page_text,
    ),
    Endpoint(
        owner="mistralai.client.classifiers:Classifiers",
        methods=_sync_and_async("moderate", "moderate_chat", "classify", "classify_chat"),
        name="classifiers",
        kind=GUARDRAIL,
        input_arguments=("inputs", "input"),
    ),
    Endpoint(
        owner="mistralai.client.transcriptions:Transcriptions",
        methods=_sync_and_async("complete", "stream"),
        name="transcriptions",
        kind=LLM,
        input_arguments=("file", "file_url", "file_id"),
        input_messages=_audio,
        output_messages=_transcript,
        add_event=_add_transcript_event,
    ),
)
