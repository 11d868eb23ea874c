"""Example values for JSON schemas: how tool arguments and structured outputs are synthesised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.providers.exchange import Json

_DEEPEST = 6
"""Schemas may refer to themselves; below this depth only required fields are filled."""

_FORMATS = {
    "date-time": "2024-01-02T03:04:05Z",
    "date": "2024-01-02",
    "time": "03:04:05Z",
    "duration": "PT1S",
    "email": "word@example.com",
    "uri": "https://example.com/word",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "ipv4": "127.0.0.1",
}


def example(schema: Any, *, root: Any = None, depth: int = 0) -> Any:
    """A small value the schema accepts; the same schema always gives the same value."""
    if not isinstance(schema, dict):
        return "word"
    root = schema if root is None else root
    if "$ref" in schema:
        return example(_resolve(schema["$ref"], root), root=root, depth=depth + 1)
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    if schema.get("allOf"):
        merged: Json = {}
        for part in schema["allOf"]:
            merged |= _resolve(part["$ref"], root) if "$ref" in part else part
        return example(merged, root=root, depth=depth + 1)
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            return example(_choose(schema[union], depth), root=root, depth=depth + 1)
    return _typed(schema, root, depth)


def _typed(schema: Json, root: Json, depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object" or (kind is None and "properties" in schema):
        return _object(schema, root, depth)
    if kind == "array":
        return _array(schema, root, depth)
    if kind in ("integer", "number"):
        return _number(schema, kind)
    if kind in ("boolean", "null"):
        return True if kind == "boolean" else None
    text = _FORMATS.get(schema.get("format", ""), "word")
    return text.ljust(int(schema.get("minLength", 0)), "s")[: schema.get("maxLength")]


def _object(schema: Json, root: Json, depth: int) -> Json:
    """All properties near the top, so results are rich; required ones only further down."""
    properties = schema.get("properties") or {}
    required = schema.get("required") or []
    names = [name for name in properties if depth <= _DEEPEST or name in required]
    return {name: example(properties[name], root=root, depth=depth + 1) for name in names}


def _array(schema: Json, root: Json, depth: int) -> list[Any]:
    """One item, or as many as there must be; deep down none, to end recursion."""
    if depth > _DEEPEST and not schema.get("minItems"):
        return []
    item = example(schema.get("items"), root=root, depth=depth + 1)
    return [item] * max(1, int(schema.get("minItems", 1)))


def _number(schema: Json, kind: str) -> int | float:
    value: int | float = 1
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and value <= low:
        value = low if "minimum" in schema else low + 1
    elif high is not None and value >= high:
        value = high if "maximum" in schema else high - 1
    return int(value) if kind == "integer" else value


def _choose(options: list[Any], depth: int) -> Any:
    """The first real option; deep down ``null`` if that is allowed, to end recursion."""
    nulls = [one for one in options if isinstance(one, dict) and one.get("type") == "null"]
    others = [one for one in options if one not in nulls]
    if depth > _DEEPEST and nulls:
        return nulls[0]
    return others[0] if others else options[0]


def _resolve(reference: str, root: Any) -> Any:
    node = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        node = node.get(part.replace("~1", "/").replace("~0", "~"), {}) if part else node
    return node
