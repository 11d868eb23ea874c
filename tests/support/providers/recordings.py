"""Recorded traffic of the real providers, and how an answer of ours is compared with it.

Only shapes are compared: which keys there are at which path, with which JSON type, and which
kinds of events a stream has in which order. Texts, ids and counts are the provider's own affair.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Shape = dict[str, set[str]]
"""JSON types by key path; the elements of an array share the path ``[]``."""

EVENT_STREAM = "application/vnd.amazon.eventstream"
_HOSTS = ("api.openai.com", "api.mistral.ai", "bedrock-runtime.", "bedrock-agent-runtime.")


@dataclass(frozen=True)
class Recording:
    """One recorded request with the provider's response to it."""

    name: str
    host: str
    path: str
    request: bytes
    status: int
    content_type: str
    response: bytes


def load(folder: Path) -> Iterator[Recording]:
    """Every recorded exchange with a provider in the vcrpy cassettes of the folder."""
    import yaml

    for file in sorted(folder.glob("*/*.yaml")):
        cassette = yaml.safe_load(file.read_text())
        for number, one in enumerate(cassette["interactions"]):
            request, response = one["request"], one["response"]
            uri = urlsplit(request["uri"])
            if not (uri.hostname or "").startswith(_HOSTS):
                continue
            body = _bytes(response["body"]["string"])
            declared = {name.lower(): value for name, value in response["headers"].items()}
            yield Recording(
                name=f"{file.parent.name}/{file.stem}-{number}",
                host=uri.hostname or "",
                path=uri.path,
                request=_bytes(request["body"]),
                status=response["status"]["code"],
                content_type=declared.get("content-type", [_guess(body)])[0],
                response=body,
            )


def _bytes(body: str | bytes | None) -> bytes:
    raw = body.encode() if isinstance(body, str) else body or b""
    return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw


def _guess(body: bytes) -> str:
    """The content type of a body whose headers were not recorded."""
    if body.startswith(b"\0\0"):
        return EVENT_STREAM
    return "text/event-stream" if body.startswith((b"data:", b"event:")) else "application/json"


def events(content_type: str, body: bytes) -> list[tuple[str, Any]]:
    """The body as kinds and payloads of events; a body that is no stream is a single one."""
    kind = content_type.partition(";")[0].strip()
    if kind == EVENT_STREAM:
        return [_named(*one) for one in decoded(body)]
    if kind == "text/event-stream":
        lines = [line[5:].strip() for line in body.decode().splitlines() if line[:5] == "data:"]
        return [(_kind_of_chunk(line), _json(line)) for line in lines]
    return [("body", json.loads(body))]


def _json(text: str) -> Any:
    return text if text == "[DONE]" else json.loads(text)


def _kind_of_chunk(line: str) -> str:
    """Chunks of a chat stream carry no name; their kind is what part of the answer they bring."""
    chunk = _json(line)
    if isinstance(chunk, str) or "type" in chunk:
        return chunk if isinstance(chunk, str) else str(chunk["type"])
    if not chunk["choices"]:
        return "usage"
    choice = chunk["choices"][0]
    kinds = ["opening"] if "role" in choice.get("delta", {}) else []
    kinds += ["call"] if choice.get("delta", {}).get("tool_calls") else []
    kinds += ["end"] if choice["finish_reason"] else []
    return " ".join(kinds) or "text"


def decoded(body: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the kinds and payloads of the events of a stream of Bedrock's."""
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    buffer.add_data(body)
    for message in buffer:
        kind = message.headers.get(":event-type") or message.headers[":exception-type"]
        yield str(kind), json.loads(message.payload)


def _named(kind: str, payload: Any) -> tuple[str, Any]:
    """Name a Bedrock event more closely where its type is but an envelope."""
    if kind == "trace":
        part, content = next(iter(payload["trace"].items()))
        step = next(key for key in content if key not in ("action", "metadata", "traceId"))
        detail = content[step] if isinstance(content[step], dict) else {}
        purpose = detail.get("invocationType") or detail.get("type") or ""
        return f"trace {part} {step} {purpose}".strip(), payload
    if kind == "chunk" and "bytes" in payload:
        raw = base64.b64decode(payload["bytes"])
        try:
            inner = json.loads(raw)
        except ValueError:
            return kind, payload
        if isinstance(inner, dict):
            return f"chunk {inner.get('type') or next(iter(inner))}", payload | {"bytes": inner}
    return kind, payload


def shape(value: Any, path: str = "", into: Shape | None = None) -> Shape:
    """The JSON type at every key path of the value."""
    found: Shape = {} if into is None else into
    found.setdefault(path, set()).add(_type(value))
    if isinstance(value, dict):
        for key, one in value.items():
            shape(one, f"{path}.{key}" if path else key, found)
    elif isinstance(value, list):
        for one in value:
            shape(one, f"{path}[]", found)
    return found


def _type(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return names.get(type(value), "object")


def differences(recorded: list[tuple[str, Any]], ours: list[tuple[str, Any]]) -> list[str]:
    """What the recorded events have that ours lack, one line for each difference."""
    theirs_by_kind, ours_by_kind = _by_kind(recorded), _by_kind(ours)
    found = []
    for kind, expected in theirs_by_kind.items():
        actual = ours_by_kind.get(kind)
        if actual is None:
            found.append(f"{kind}: no such event")
            continue
        for path, types in expected.items():
            if path not in actual:
                parent = path.removesuffix("[]").rpartition(".")[0] if "." in path else ""
                if parent in actual or not parent:
                    found.append(f"{kind}: {path} is missing")
            elif not types - {"null"} <= actual[path]:
                found.append(f"{kind}: {path} is {sorted(actual[path])}, not {sorted(types)}")
    shared = [kind for kind in theirs_by_kind if kind in ours_by_kind]
    if shared != [kind for kind in ours_by_kind if kind in theirs_by_kind]:
        found.append(f"order of events: {list(ours_by_kind)}, not {list(theirs_by_kind)}")
    return found


def _by_kind(stream: list[tuple[str, Any]]) -> dict[str, Shape]:
    """One merged shape for each kind of event, in the order in which the kinds first appear."""
    shapes: dict[str, Shape] = {}
    for kind, payload in stream:
        shape(payload, into=shapes.setdefault(kind, {}))
    return shapes
