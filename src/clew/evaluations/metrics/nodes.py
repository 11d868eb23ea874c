"""The parts that an expression consists of: values, what a session has, functions, aggregates.

`expression.py` makes them from a text, and only them: what is not among them cannot be asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

AGGREGATES = ("avg", "count", "max", "min", "sum")
TEXTS = ("session_id", "user_id", "first_message", "last_message", "models", "frameworks", "tools")
NUMBERS = (
    "users",
    "first_ns",
    "last_ns",
    "seconds",
    "think_seconds",
    "turns",
    "spans",
    "model_calls",
    "tool_calls",
    "retrievals",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost",
    "errors",
    "failed_turns",
    "latency_p50",
    "latency_p95",
    "first_token_p50",
    "friction",
    "failure",
    "first_bad_turn",
    "worst_turn",
)
COLUMNS = (*TEXTS, *NUMBERS)
"""Those of the view ``sessions``. A query for all of them would score all sessions."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number or a text that stands in the expression, or NULL."""

    value: float | str | None


@dataclass(frozen=True, slots=True)
class Field:
    """What is known of one session: a column of the view ``sessions``, or an evaluation of it."""

    name: str
    part: Literal["column", "score", "label"] = "column"

    def __str__(self) -> str:
        return self.name if self.part == "column" else f"{self.name}.{self.part}"


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator, with what it is applied to."""

    function: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One figure of many sessions: ``count(*)`` is the one without an argument."""

    function: str
    argument: "Node | None"


Node: TypeAlias = Value | Field | Call | Aggregate


def parts(node: Node) -> Iterator[Node]:
    """Yield a part and all that it consists of."""
    yield node
    match node:
        case Call(_, arguments):
            for argument in arguments:
                yield from parts(argument)
        case Aggregate(_, argument) if argument is not None:
            yield from parts(argument)
        case _:
            pass


def aggregates(node: Node) -> tuple[Aggregate, ...]:
    """Return the different aggregates of an expression."""
    return tuple(dict.fromkeys(it for it in parts(node) if isinstance(it, Aggregate)))


def fields(node: Node) -> tuple[Field, ...]:
    """Return all that an expression asks of a session."""
    return tuple(dict.fromkeys(it for it in parts(node) if isinstance(it, Field)))


def bound(node: Node) -> Node:
    """Return an expression in which a name that is no column is the score of an evaluation."""
    match node:
        case Field(name, "column") if name not in COLUMNS:
            return Field(name, "score")
        case Call(function, arguments):
            return Call(function, tuple(bound(it) for it in arguments))
        case Aggregate(function, argument) if argument is not None:
            return Aggregate(function, bound(argument))
        case _:
            return node


def required(node: Node) -> frozenset[Field]:
    """Return what has to be known of a session so that the expression speaks of it.

    Not what is only counted, and not that of which ``coalesce`` or ``is null`` says what to do
    where it is not known.
    """
    match node:
        case Field():
            return frozenset({node})
        case Aggregate("count", _) | Call("coalesce" | "is null", _):
            return frozenset()
        case Aggregate(_, argument) if argument is not None:
            return required(argument)
        case Call(_, arguments):
            return frozenset().union(*map(required, arguments))
        case _:
            return frozenset()
