"""Reads observations of Langfuse, as its blob storage export writes them.

The fields are those of "enriched observations" (`observations_v2/`), which its documentation lists:
https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields. In CSV, arrays
and objects are JSON. The names that Langfuse's API has for the same fields are understood as well.
Legacy observations have no session and no user, because those are in another file.
"""

import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import isfinite
from typing import Any

from clew.store.formats.cells import as_json, is_missing, nanoseconds, text_of, value_of
from clew.store.formats.messages import messages_of
from clew.store.otlp import MalformedError
from clew.store.otlp.json_decoder import parse_json
from clew.store.record import ERROR, UNSET, Event, Scope, SpanRecord, Value

_SCOPE = Scope("langfuse")
_UNSPECIFIED = 0
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_API_NAMES = {"model": "provided_model_name"}
_KINDS = {"GENERATION": "LLM", "SPAN": "CHAIN", "EVENT": "CHAIN"}
# What has the same meaning in OpenInference, or else stays what it is in Langfuse.
_TEXTS = {
    "session_id": "session.id",
    "user_id": "user.id",
    "provided_model_name": "llm.model_name",
    "model_parameters": "llm.invocation_parameters",
    "trace_name": "langfuse.trace.name",
    "environment": "langfuse.environment",
    "release": "langfuse.release",
    "version": "langfuse.version",
    "prompt_name": "langfuse.observation.prompt.name",
}
_JSON = {"metadata": "metadata", "tool_definitions": "langfuse.observation.tool_definitions"}
_CACHED = ("input_cached_tokens", "input_cache_read", "cache_read_input_tokens")
_REASONING = ("reasoning_tokens", "output_reasoning_tokens", "output_reasoning")


def is_observation(row: Mapping[str, Any]) -> bool:
    """Whether *row* is an observation of Langfuse."""
    keys = row.keys()
    return {"id", "type"} <= keys and bool(
        {"trace_id", "start_time"} <= keys or {"traceId", "startTime"} <= keys
    )


def record_of(row: Mapping[str, Any]) -> SpanRecord:
    """Return the span that *row* describes; raise MalformedError if it cannot be used."""
    fields = {_name(key): value for key, value in row.items() if not is_missing(value)}
    start = nanoseconds(fields.get("start_time"), "start_time")
    end, first_token = fields.get("end_time"), fields.get("completion_start_time")
    parent = text_of(fields.get("parent_observation_id"))
    events: tuple[Event, ...] = ()
    if first_token is not None:
        moment = nanoseconds(first_token, "completion_start_time")
        events = (Event("First Token Stream Event", moment, {}),)
    failed = fields.get("level") == "ERROR"
    return SpanRecord(
        trace_id=_id(text_of(fields.get("trace_id")), "trace_id", 16),
        span_id=_id(text_of(fields.get("id")), "id", 8),
        parent_id=_id(parent, "parent_observation_id", 8) if parent else None,
        name=text_of(fields.get("name")),
        start=start,
        end=start if end is None else nanoseconds(end, "end_time"),
        attributes=dict(_attributes(fields)),
        kind=_UNSPECIFIED,
        status=ERROR if failed else UNSET,
        status_message=text_of(fields.get("status_message")),
        events=events,
        scope=_SCOPE,
    )


def _name(key: str) -> str:
    snake = _CAPITAL.sub("_", key).lower()
    return _API_NAMES.get(snake, snake)


def _id(text: str, name: str, length: int) -> bytes:
    """Return an id of OpenTelemetry's, or one made of what older SDKs of Langfuse had as ids."""
    if not text:
        message = f"it has no {name}"
        raise MalformedError(message)
    with suppress(ValueError):
        found = binascii.unhexlify(text.replace("-", ""))
        if len(found) == length:
            return found
    return hashlib.sha256(text.encode(errors="replace")).digest()[:length]


def _attributes(fields: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    kind = text_of(fields.get("type")).upper()
    yield "openinference.span.kind", _KINDS.get(kind, kind)
    yield "langfuse.observation.id", text_of(fields.get("id"))
    yield "langfuse.trace.id", text_of(fields.get("trace_id"))
    for name, attribute in _TEXTS.items():
        if name in fields:
            yield attribute, text_of(fields[name])
    for name, attribute in _JSON.items():
        if found := _parsed(fields.get(name)):
            yield attribute, as_json(found)
    if tags := _parsed(fields.get("tags")):
        yield "tag.tags", value_of(tags)
    if (level := text_of(fields.get("level"))) not in {"", "DEFAULT"}:
        yield "langfuse.observation.level", level
    yield from _said(fields, "input", kind)
    yield from _said(fields, "output", kind)
    yield from _usage(_parsed(fields.get("usage_details")))
    yield from _cost(_parsed(fields.get("cost_details")), fields.get("total_cost"))


def _said(fields: Mapping[str, Any], side: str, kind: str) -> Iterator[tuple[str, Value]]:
    if side not in fields:
        return
    parsed = _parsed(fields[side])
    is_json = isinstance(parsed, dict | list)
    yield f"{side}.value", text_of(fields[side])
    yield f"{side}.mime_type", "application/json" if is_json else "text/plain"
    if kind == "GENERATION":
        role = "user" if side == "input" else "assistant"
        yield from messages_of(parsed, f"llm.{side}_messages", role)


def _usage(usage: Any) -> Iterator[tuple[str, Value]]:
    if not isinstance(usage, Mapping):
        return
    counts = {key: number for key, each in usage.items() if (number := _integer(each)) is not None}
    total = counts.get("total")
    for side, attribute in (("input", "prompt"), ("output", "completion")):
        parts = [number for key, number in counts.items() if side in key]
        if parts:
            yield f"llm.token_count.{attribute}", _together(counts, side, sum(parts))
    if total is not None:
        yield "llm.token_count.total", total
    for names, attribute in (
        (_CACHED, "prompt_details.cache_read"),
        (_REASONING, "completion_details.reasoning"),
    ):
        for name in names:
            if name in counts:
                yield f"llm.token_count.{attribute}", counts[name]
                break


def _together(counts: Mapping[str, int], side: str, parts: int) -> int:
    """Return the tokens of one side.

    Langfuse counts cached tokens and the like beside the others, but an application that states its
    usage itself may have counted them among the others. The total tells which.
    """
    both = counts.get("input", 0) + counts.get("output", 0)
    return counts.get(side, 0) if both == counts.get("total") else parts


def _cost(cost: Any, total: Any) -> Iterator[tuple[str, Value]]:
    prices = cost if isinstance(cost, Mapping) else {}
    for side, attribute in (("input", "prompt"), ("output", "completion")):
        parts = [found for key, each in prices.items() if side in key for found in _number(each)]
        if parts:
            yield f"llm.cost.{attribute}", sum(parts)
    for found in _number(total):
        yield "llm.cost.total", found


def _integer(value: Any) -> int | None:
    for number in _number(value):
        return int(number)
    return None


def _number(value: Any) -> list[float]:
    """Return *value* in a list, if it is a finite number or the text of one."""
    if is_missing(value) or isinstance(value, bool):
        return []
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return []
    return [number] if isfinite(number) else []


def _parsed(value: Any) -> Any:
    """Return what a text says in JSON, if it does, or else the value as it is."""
    if isinstance(value, list) and all(isinstance(each, tuple) for each in value):
        return {text_of(key): each for key, each in value}  # A map of Parquet.
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except MalformedError:
        return value
