"""The values of attributes that the OpenTelemetry Collector has stored as text, as they were.

Its exporters write every value as text: ``12`` for the number and for the text alike. What it was,
only its name can say. So names that the conventions give to numbers, truths and lists are known
here, and any other value stays the text that it is: a user who says "12" has said "12".
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from clew.sessions import rules
from clew.spans import evaluation_attributes as wire
from clew.store.columns import COLUMNS
from clew.store.otlp.json_decoder import list_from_json
from clew.store.otlp.limits import MalformedError
from clew.store.record import Value

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?")
_WHOLE = (
    *(name for it in COLUMNS if it.type is int for name in (it.attribute, *it.others)),
    *(name for names in rules.TOKENS.values() for name in names),
    "gen_ai.request.choice.count",
    "gen_ai.request.max_tokens",
    "gen_ai.request.seed",
    "gen_ai.embeddings.dimension.count",
    "server.port",
    "http.response.status_code",
    "http.status_code",
)
_REAL = (
    *(name for it in COLUMNS if it.type is float for name in (it.attribute, *it.others)),
    *rules.COST,
    *rules.FIRST_TOKEN_SECONDS,
    *rules.FIRST_TOKEN_MILLISECONDS,
    wire.EVENT_SCORE,
    "gen_ai.request.temperature",
    "gen_ai.request.top_p",
    "gen_ai.request.top_k",
    "gen_ai.request.frequency_penalty",
    "gen_ai.request.presence_penalty",
    "ai.response.msToFinish",
    "ai.response.avgOutputTokensPerSecond",
    "ai.response.avgCompletionTokensPerSecond",
)
_TRUTH = (wire.LATE, "llm.is_streaming", "gen_ai.request.stream", "exception.escaped")
_LIST = (
    "tag.tags",
    "gen_ai.response.finish_reasons",
    "gen_ai.request.stop_sequences",
    "gen_ai.request.encoding_formats",
    # What was sent to a model that completes texts, where each text has no attribute of its own.
    "llm.prompts",
    "llm.choices",
    "gen_ai.prompt",
    "gen_ai.completion",
)
_MESSAGES = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
)
"""Lists that most instrumentations write as JSON. Then they are texts here as well."""
_OTLP_LIST = '{"values":['
_TRUTHS: Mapping[str, Value] = {"true": True, "false": False}
_WHOLE_BELOW = ("llm.token_count.", "ai.usage.", "llm.usage.")
_REAL_BELOW = ("llm.cost.",)
_REAL_ENDINGS = (
    "document.score",
    *(f".{form}.score" for form in wire.FORMS),
)
_LIST_ENDINGS = ("embedding.vector",)


def attributes_of_text(attributes: Mapping[str, Any]) -> dict[str, Value]:
    """Return *attributes* with numbers where their names say that they are numbers.

    The same goes for truths and lists. What is not written as the Collector writes such a value
    stays text, and so does whatever is text by its name.
    """
    found: dict[str, Value] = {}
    for key, value in attributes.items():
        read = _reader(key)
        if isinstance(value, str):
            found[key] = value if read is None else read(value)
        elif isinstance(value, list):  # A JSON column has kept it.
            found[key] = _tuples(value)
        elif isinstance(value, int) and read is _real and not isinstance(value, bool):
            found[key] = float(value)  # There, 2.0 is 2.
        else:
            found[key] = value
    return found


def read_object(text: str) -> dict[str, Any]:
    """Return the JSON object that *text* is, with the names of attributes as its only keys.

    A JSON column of ClickHouse has made of ``{"session.id": 1}`` objects in an object.
    """
    read: dict[str, Any] = json.loads(text, object_pairs_hook=_flat)
    return read


def read_array(text: str) -> list[Any]:
    """Return the JSON array that *text* is; of its objects each as `read_object` returns it."""
    read: list[Any] = json.loads(text, object_pairs_hook=_flat)
    return read


def _flat(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if isinstance(value, dict) and value:
            found |= {f"{key}.{inner}": it for inner, it in value.items()}
        else:
            found[key] = value
    return found


@lru_cache(maxsize=4096)
def _reader(name: str) -> "Callable[[str], Value] | None":
    """Return what reads the values of the attribute of this *name*; None if it is text."""
    if name in _REAL or name.startswith(_REAL_BELOW) or name.endswith(_REAL_ENDINGS):
        return _real
    if name in _WHOLE or name.startswith(_WHOLE_BELOW):
        return _whole
    if name in _TRUTH:
        return _truth
    if name in _LIST or name.endswith(_LIST_ENDINGS):
        return _list
    if name in _MESSAGES:
        return _otlp_list
    return None


def _whole(text: str) -> Value:
    if _INTEGER.fullmatch(text):
        return int(text)
    return _real(text)


def _real(text: str) -> Value:
    return float(text) if _NUMBER.fullmatch(text) else text


def _truth(text: str) -> Value:
    return _TRUTHS.get(text, text)


def _list(text: str) -> Value:
    if not text.startswith("["):
        return _otlp_list(text)
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return text
    found: Value = _tuples(said)
    return found


def _otlp_list(text: str) -> Value:
    if not text.startswith(_OTLP_LIST):
        return text
    try:
        return list_from_json(text)
    except MalformedError:
        return text


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
