"""The attributes that have a column of their own, because questions are asked of them."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from clew.store.encoding import is_utf8
from clew.store.record import Attributes

_TOKENS = "llm.token_count."
_USAGE = "gen_ai.usage."


class Column(NamedTuple):
    """One column, and the attributes that it is filled from."""

    name: str
    attribute: str
    """OpenInference's name. The column takes its place, so that it is stored once."""
    type: type
    others: tuple[str, ...] = ()
    """Names of other conventions, used if it is missing. They are stored as they are, too."""


COLUMNS = (
    Column("session_id", "session.id", str, ("gen_ai.conversation.id",)),
    Column("user_id", "user.id", str, ("enduser.id",)),
    Column("openinference_kind", "openinference.span.kind", str),
    Column("model", "llm.model_name", str, ("gen_ai.response.model", "gen_ai.request.model")),
    Column("provider", "llm.provider", str, ("gen_ai.provider.name", "gen_ai.system")),
    Column("prompt_tokens", _TOKENS + "prompt", int, (_USAGE + "input_tokens",)),
    Column("completion_tokens", _TOKENS + "completion", int, (_USAGE + "output_tokens",)),
    Column("total_tokens", _TOKENS + "total", int),
    Column(
        "cached_tokens",
        _TOKENS + "prompt_details.cache_read",
        int,
        (_USAGE + "cache_read.input_tokens",),
    ),
    Column(
        "reasoning_tokens",
        _TOKENS + "completion_details.reasoning",
        int,
        (_USAGE + "reasoning.output_tokens",),
    ),
    Column("cost", "llm.cost.total", float),
)
_COPIES = ""
"""The key under which the names of columns that were filled from `Column.others` are kept: no
attribute may have an empty key."""
_OTHERS = frozenset(other for column in COLUMNS for other in column.others)
_LEAST, _GREATEST = -(2**63), 2**63 - 1


def split(attributes: Attributes) -> tuple[list[Any], dict[str, Any]]:
    """Return the values of the columns, and the attributes that are not in one.

    An attribute without a name is left out.
    """
    rest = dict(attributes)
    # OTLP allows none without a name, but whoever sends spans may. Its place is taken here.
    rest.pop(_COPIES, None)
    values: list[Any] = []
    copies: list[str] = []
    has_others = not rest.keys().isdisjoint(_OTHERS)
    for name, attribute, kind, others in COLUMNS:
        value = rest.get(attribute)
        if value is None and not has_others:
            pass  # As most columns of most spans.
        elif type(value) is kind and _fits(value):
            del rest[attribute]
        else:
            value = None
            for other in others if has_others else ():
                value = rest.get(other)
                if type(value) is kind and _fits(value):
                    copies.append(name)
                    break
                value = None
        values.append(value)
    if copies:
        rest[_COPIES] = tuple(copies)
    return values, rest


def joined(values: Mapping[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that `split` was given."""
    copies = rest.pop(_COPIES, ())
    if not isinstance(copies, list | tuple):  # Stored by a version that kept what had no name.
        copies = ()
    for name, attribute, *_ in COLUMNS:
        value = values[name]
        if value is not None and name not in copies:
            rest[attribute] = value
    return rest


def _fits(value: Any) -> bool:
    """Whether it is a value, and SQLite returns it as it was given. An empty text says nothing."""
    if type(value) is str:
        return bool(value) and is_utf8(value)
    if type(value) is int:
        return _LEAST <= value <= _GREATEST
    return isfinite(value)
