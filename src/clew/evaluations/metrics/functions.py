"""What the parts of an expression do: makes a function of them, as SQL would answer.

What is not known (NULL) makes a result unknown, and so does a division by zero or a number that is
too great. Numbers are divided as numbers: 1 / 2 is 0.5.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from clew.evaluations.metrics.nodes import Call, Node, Value

Compiled: TypeAlias = Callable[[Sequence[Any]], Any]
"""Returns the result of a part, given what each field or aggregate is, by their positions."""


def compiled(node: Node, positions: Mapping[Node, int]) -> Compiled:
    """Make a function of a part, given at which position the value of each leaf is."""
    match node:
        case Value(value):
            return lambda _: value
        case Call(function, arguments):
            return _call(function, [compiled(it, positions) for it in arguments])
        case _:
            return operator.itemgetter(positions[node])


def _call(function: str, arguments: list[Compiled]) -> Compiled:
    if function in _LAZY:
        return _LAZY[function](arguments)
    operation = STRICT[function]
    if len(arguments) == 1:
        (only,) = arguments

        def unary(row: Sequence[Any]) -> Any:
            value = only(row)
            return None if value is None else operation(value)

        return unary
    first, second = arguments

    def binary(row: Sequence[Any]) -> Any:
        one = first(row)
        if one is None:
            return None
        other = second(row)
        if other is None:
            return None
        try:
            result = operation(one, other)
            return result if math.isfinite(result) else None
        except (ArithmeticError, TypeError, ValueError):
            return None  # By zero, too great, or a text with a number.

    return binary


def _truth(value: Any) -> bool:
    return bool(value) and not isinstance(value, str)


def _like(text: Any, pattern: Any) -> int:
    return int(_pattern(str(pattern)).fullmatch(str(text)) is not None)


@lru_cache(maxsize=64)
def _pattern(pattern: str) -> re.Pattern[str]:
    once = re.sub("%+", "%", pattern)
    translated = (".*" if it == "%" else "." if it == "_" else re.escape(it) for it in once)
    return re.compile("".join(translated), re.DOTALL | re.IGNORECASE)


STRICT: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
    "=": lambda one, other: int(one == other),
    "<>": lambda one, other: int(one != other),
    "<": lambda one, other: int(one < other),
    "<=": lambda one, other: int(one <= other),
    ">": lambda one, other: int(one > other),
    ">=": lambda one, other: int(one >= other),
    "like": _like,
    "least": min,
    "greatest": max,
    "negative": operator.neg,
    "abs": abs,
    "not": lambda value: int(not _truth(value)),
}
"""Functions whose result is not known if one argument is not."""


def _and(arguments: list[Compiled]) -> Compiled:
    first, second = arguments

    def both(row: Sequence[Any]) -> int | None:
        one, other = first(row), second(row)
        if (one is not None and not _truth(one)) or (other is not None and not _truth(other)):
            return 0
        return None if one is None or other is None else 1

    return both


def _or(arguments: list[Compiled]) -> Compiled:
    first, second = arguments

    def either(row: Sequence[Any]) -> int | None:
        one, other = first(row), second(row)
        if _truth(one) or _truth(other):
            return 1
        return None if one is None or other is None else 0

    return either


def _coalesce(arguments: list[Compiled]) -> Compiled:
    return lambda row: next((it for of in arguments if (it := of(row)) is not None), None)


def _case(arguments: list[Compiled]) -> Compiled:
    pairs, otherwise = list(zip(arguments[:-1:2], arguments[1::2], strict=False)), arguments[-1]

    def chosen(row: Sequence[Any]) -> Any:
        return next((result(row) for meets, result in pairs if _truth(meets(row))), otherwise(row))

    return chosen


def _in(arguments: list[Compiled]) -> Compiled:
    value, *others = arguments

    def found(row: Sequence[Any]) -> int | None:
        one, among = value(row), [it(row) for it in others]
        if one is None:
            return None
        return 1 if one in among else None if None in among else 0

    return found


def _nullif(arguments: list[Compiled]) -> Compiled:
    first, second = arguments

    def unless(row: Sequence[Any]) -> Any:
        value = first(row)
        return None if value == second(row) else value

    return unless


_LAZY: dict[str, Callable[[list[Compiled]], Compiled]] = {
    "and": _and,
    "or": _or,
    "coalesce": _coalesce,
    "case": _case,
    "in": _in,
    "is null": lambda arguments: lambda row: int(arguments[0](row) is None),
    "nullif": _nullif,
}
"""Functions whose result may be known although an argument is not."""
