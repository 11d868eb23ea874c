"""What the parts of an expression say of it: whether it is an estimate, its kind, its limits."""

from math import inf
from typing import Literal, TypeAlias

from clew.evaluations.metrics.nodes import TEXTS, Aggregate, Call, Field, Node, Value, aggregates

Kind: TypeAlias = Literal["number", "truth", "text", "any"]
"""What a part results in: ``truth`` is 1 or 0, ``any`` is what may be one or the other."""


def is_estimate(node: Node) -> bool:
    """Whether a figure says what sessions are like, however many of them there are.

    So do means, shares and ratios. A total says how many there were, and an extreme what one was.
    """
    extremes = any(it.function in {"min", "max"} for it in aggregates(node))
    return not extremes and _degree(node) == 0


def _degree(node: Node) -> int | None:
    """Return by which power of their number a figure grows with the sessions; None: by no one."""
    match node:
        case Aggregate(function, _):
            return int(function in {"sum", "count"})
        case Call("*" | "/" as function, (first, second)):
            one, other = _degree(first), _degree(second)
            if one is None or other is None:
                return None
            return one + other if function == "*" else one - other
        case Call("nullif", (first, _)):
            return _degree(first)
        case Call("coalesce" | "case" | "least" | "greatest", arguments):
            # A value that stands for what is not known, or for a limit, says nothing about it.
            arguments = tuple(it for it in arguments if not isinstance(it, Value)) or arguments
            degrees = {_degree(it) for it in arguments}
            return degrees.pop() if len(degrees) == 1 else None
        case Call(_, arguments):
            degrees = {_degree(it) for it in arguments}
            return degrees.pop() if len(degrees) == 1 else None
        case _:
            return 0


def is_share(node: Node) -> bool:
    """Whether a figure is the share of sessions of which something is true, if all say 1 or 0."""
    match node:
        case Aggregate("avg", Field(_, "score")):
            return True
        case Aggregate("avg", argument) if argument is not None:
            return limits(argument) == (0, 1)
        case _:
            return False


_TRUTHS = frozenset({"=", "<>", "<", "<=", ">", ">=", "and", "or", "not", "in", "like", "is null"})
_UP_TO_ONE = frozenset({"friction", "failure"})


def kind_of(node: Node) -> Kind:
    """Return what a part results in."""
    match node:
        case Value(value):
            return "text" if isinstance(value, str) else "any" if value is None else "number"
        case Field(name, part):
            return "text" if part == "label" or (part == "column" and name in TEXTS) else "number"
        case Call(function, _) if function in _TRUTHS:
            return "truth"
        case Call("case", arguments):
            return _common([*arguments[1::2], arguments[-1]])
        case Call("coalesce", arguments):
            return _common(list(arguments))
        case Call("nullif", (first, _)):
            return kind_of(first)
        case _:
            return "number"


def _common(nodes: list[Node]) -> Kind:
    kinds = {kind_of(it) for it in nodes if it != Value(None)}
    if kinds <= {"truth", "number"}:
        return kinds.pop() if len(kinds) == 1 else "number"
    return kinds.pop() if len(kinds) == 1 else "any"


def limits(node: Node) -> tuple[float, float]:
    """Return between which numbers a part lies, as far as its parts say that."""
    match node:
        case Value(float() | int() as value):
            return (value, value)
        case Field(name, "column"):
            return (0, 1) if name in _UP_TO_ONE else (0, inf)
        case Aggregate("count", _):
            return (0, inf)
        case Aggregate("sum", argument) if argument is not None:
            low, high = limits(argument)
            return (0 if low >= 0 else -inf, 0 if high <= 0 else inf)
        case Aggregate(_, argument) if argument is not None:
            return limits(argument)
        case Call(function, arguments):
            return (0, 1) if function in _TRUTHS else _limits_of_call(function, arguments)
        case _:
            return (-inf, inf)


def _limits_of_call(function: str, arguments: tuple[Node, ...]) -> tuple[float, float]:
    if function in {"coalesce", "least", "greatest"}:
        return _around(list(arguments))
    if function == "case":
        return _around([*arguments[1::2], arguments[-1]])
    if function == "nullif":
        return limits(arguments[0])
    if function == "abs":
        return (0, inf)
    if function == "-" and arguments[0] == Value(1) and limits(arguments[1]) == (0, 1):
        return (0, 1)
    if function in {"+", "*", "/"} and all(limits(it)[0] >= 0 for it in arguments):
        return (0, inf)
    return (-inf, inf)


def _around(nodes: list[Node]) -> tuple[float, float]:
    found = [limits(it) for it in nodes if it != Value(None)] or [(0.0, 0.0)]
    return min(low for low, _ in found), max(high for _, high in found)
