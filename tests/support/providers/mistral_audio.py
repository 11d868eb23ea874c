"""Mistral's transcriptions. The request is a multipart form; its sound is ignored."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.providers.answers import pieces
from tests.support.providers.exchange import (
    Event,
    Json,
    Reply,
    Request,
    Usage,
    json_reply,
    sse,
    sse_reply,
)

_FIELD = re.compile(rb'name="(\w+)"(?:\r\n[^\r]+)*\r\n\r\n([^\r]*)')
_TEXT = "A short transcript of a recording."
_USAGE = Usage(prompt=4, completion=6, total=10)


def answer(request: Request) -> Reply:
    """Transcribe, at once or word by word as the form demands."""
    form = dict(_FIELD.findall(request.raw))
    model = form.get(b"model", b"").decode() or "voxtral-mini-latest"
    if form.get(b"stream", b"false").lower() == b"true":
        return sse_reply(_events(model))
    return json_reply(_whole(model), usage=_USAGE)


def _whole(model: str) -> Json:
    usage = {
        "prompt_audio_seconds": 1,
        "prompt_tokens": _USAGE.prompt,
        "total_tokens": _USAGE.total,
        "completion_tokens": _USAGE.completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 3},
    }
    return {"model": model, "text": _TEXT, "language": None, "segments": [], "usage": usage}


def _events(model: str) -> Iterator[Event]:
    def event(kind: str, payload: Json, usage: Usage | None = None) -> Event:
        return sse({"type": kind} | payload, name=kind, usage=usage)

    yield event("transcription.language", {"audio_language": "en"})
    for piece in pieces(_TEXT):
        yield event("transcription.text.delta", {"text": piece})
    segment = {"text": _TEXT, "start": 0.0, "end": 1.0}
    yield event("transcription.segment", segment)
    yield event("transcription.done", _whole(model) | {"language": "en"}, _USAGE)
