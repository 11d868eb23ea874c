"""Reads the expression of a metric: one of SQL, of which only known parts are allowed.

sqlglot makes a tree of the text. From it a tree of our own is made (`nodes.py`), part by part; what
is not known here is an error that says where it stands. Nothing of the text is ever executed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clew.core.install_command import pip_line
from clew.evaluations.metrics.errors import MetricError, did_you_mean, pointing
from clew.evaluations.metrics.nodes import (
    AGGREGATES,
    Aggregate,
    Call,
    Field,
    Node,
    Value,
    aggregates,
    fields,
)
from clew.evaluations.metrics.properties import kind_of

if TYPE_CHECKING:
    from sqlglot.expressions import Expression as Tree

_BEFORE = "SELECT "
"""Before the text, so that a statement in it is none."""
_LONGEST = 5000
_FUNCTIONS = ("abs", "coalesce", "iif", "ifnull", "max", "min", "nullif")
_ALLOWED = f"There are {', '.join(AGGREGATES)} of sessions, and {', '.join(_FUNCTIONS)} of values"
_OPERATORS = {
    "Add": "+",
    "Sub": "-",
    "Mul": "*",
    "Div": "/",
    "Mod": "%",
    "EQ": "=",
    "NEQ": "<>",
    "LT": "<",
    "LTE": "<=",
    "GT": ">",
    "GTE": ">=",
    "And": "and",
    "Or": "or",
    "Like": "like",
    "Nullif": "nullif",
}
_ARITHMETIC = {"+", "-", "*", "/", "%", "negative", "abs", "least", "greatest"}
_COMPARISONS = {"=", "<>", "<", "<=", ">", ">=", "in", "nullif"}


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read: its text, its tree, and where its fields stand in the text."""

    text: str
    node: Node
    places: tuple[tuple[Field, int, int], ...] = ()

    def unknown(self, field: Field, known: Sequence[str]) -> MetricError:
        """Return the error that *field* is neither a column nor anything that was evaluated."""
        start, end = next((it[1:] for it in self.places if it[0] == field), (0, len(self.text)))
        problem = (
            f"there is no column {field.name!r} of sessions, and nothing in this store has been "
            f"evaluated as {field.name!r}{did_you_mean(field.name, known)}"
        )
        return pointing(self.text, start, end, problem)


def read(text: Any) -> Expression:
    """Read an expression; raise `MetricError`, which says where it is wrong."""
    if not isinstance(text, str) or not text.strip():
        message = f"expression={text!r:.80} must be a text such as avg(friction > 0.5)"
        raise MetricError(message)
    if len(text) > _LONGEST:
        message = f"an expression has at most {_LONGEST:,} characters, and this has {len(text):,}"
        raise MetricError(message)
    reader = _Reader(text)
    try:
        return reader.read()
    except RecursionError:
        message = "this expression has too many parentheses within each other"
        raise MetricError(message) from None


def needs_sqlglot() -> str:
    """Return what to say where sqlglot is not installed."""
    return f"an expression of one's own needs sqlglot: {pip_line('metrics')}"


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.places: dict[Field, tuple[int, int]] = {}

    def read(self) -> Expression:
        tree = self._parsed()
        node = self._node(tree)
        if not aggregates(node):
            example = f"avg({fields(node)[0]})" if fields(node) else "avg(cost)"
            message = f"a metric is one figure of many sessions; write for example {example}"
            raise self._error(tree, message)
        places = tuple((it, *place) for it, place in self.places.items())
        return Expression(self.text, node, places)

    def _parsed(self) -> "Tree":
        try:
            import sqlglot
            from sqlglot.errors import SqlglotError
        except ImportError as error:
            raise MetricError(needs_sqlglot()) from error
        try:
            trees: Sequence[Any] = sqlglot.parse(_BEFORE + self.text, read="sqlite")
        except SqlglotError as error:
            raise self._syntax(error) from None
        (select, *others) = trees
        if any(it is not None for it in others):
            start = self.text.find(";")
            problem = "a metric is one expression, without a semicolon"
            raise pointing(self.text, start, start + 1, problem)
        if type(select).__name__ != "Select" or any(
            value for name, value in select.args.items() if name not in {"expressions", "kind"}
        ):
            message = "a metric is one expression over sessions, not a statement; write for example"
            raise pointing(self.text, 0, len(self.text), f"{message} avg(friction > 0.5)")
        if not select.expressions:
            raise pointing(self.text, 0, len(self.text), "there is no expression here")
        if len(select.expressions) > 1:
            raise self._error(select.expressions[1], "a metric is one expression, not several")
        tree: Tree = select.expressions[0]
        return tree

    def _syntax(self, error: Any) -> MetricError:
        found = (getattr(error, "errors", None) or [{}])[0]
        lines = (_BEFORE + self.text).split("\n")
        line, column = found.get("line"), found.get("col")
        if not isinstance(line, int) or not isinstance(column, int) or line > len(lines):
            return pointing(self.text, len(self.text), 0, "this expression cannot be read")
        end = sum(len(it) + 1 for it in lines[: line - 1]) + column - len(_BEFORE)
        length = len(found.get("highlight") or "")
        problem = f"this expression cannot be read: {found.get('description') or 'a mistake'}"
        if "<class" in problem:  # It names a class of sqlglot's.
            problem = "this expression cannot be read: something is missing here"
        return pointing(self.text, end - length, end, problem)

    def _error(self, tree: Any, problem: str) -> MetricError:
        spans = [
            (meta["start"], meta["end"] + 1)
            for it in tree.walk()
            if "start" in (meta := it.meta) and "end" in meta
        ]
        start = min((it for it, _ in spans), default=len(_BEFORE))
        end = max((it for _, it in spans), default=len(_BEFORE) + len(self.text))
        start, end = start - len(_BEFORE), end - len(_BEFORE)
        # sqlglot does not say where a call ends.
        while self.text.count("(", start, end) > self.text.count(")", start, end):
            if (closing := self.text.find(")", end)) < 0:
                break
            end = closing + 1
        return pointing(self.text, start, end, problem)

    def _node(self, tree: Any, *, within: bool = False) -> Node:
        """Make a part of a tree of sqlglot's; *within* an aggregate."""
        name = type(tree).__name__
        if name == "Paren":
            return self._node(tree.this, within=within)
        if name == "Column":
            return self._field(tree, within=within)
        if name in {"Min", "Max"} and tree.expressions:  # Of values; newer ones say so themselves.
            name = "Least" if name == "Min" else "Greatest"
        if name in {"Avg", "Sum", "Count", "Min", "Max"}:
            return self._aggregate(tree, name.lower(), within=within)
        if make := _LEAVES.get(name):
            return make(self, tree)
        arguments = self._arguments(tree, name)
        made: list[Node] = [
            Value(None) if it is None else self._node(it, within=within) for it in arguments
        ]
        function = _OPERATORS.get(name) or _OTHERS[name]
        if name == "Between":
            value, low, high = made
            both = (Call(">=", (value, low)), Call("<=", (value, high)))
            return self._checked(tree, Call("and", both))
        if name == "Case" and tree.this is not None:
            subject, *rest = made
            for index in range(0, len(rest) - 1, 2):
                rest[index] = Call("=", (subject, rest[index]))
            made = rest
        return self._checked(tree, Call(function, tuple(made)))

    def _arguments(self, tree: Any, name: str) -> list[Any]:
        """Return what an operator or a function is applied to; raise an error if none is known."""
        if name in _OPERATORS:
            return [tree.this, tree.expression]
        if name in {"Neg", "Not", "Abs"}:
            return [tree.this]
        if name in {"Coalesce", "Greatest", "Least", "In"} and not (
            tree.args.get("query") or tree.args.get("unnest") or tree.args.get("field")
        ):
            return self._several(tree, name)
        if name == "Between":
            return [tree.this, tree.args["low"], tree.args["high"]]
        if name == "Is" and type(tree.expression).__name__ == "Null":
            return [tree.this]
        if name == "If":
            return [tree.this, tree.args["true"], tree.args.get("false")]
        if name == "Case":
            pairs = [part for it in tree.args["ifs"] for part in (it.this, it.args["true"])]
            return [*([tree.this] if tree.this else []), *pairs, tree.args.get("default")]
        raise self._not_known(tree, name)

    def _several(self, tree: Any, name: str) -> list[Any]:
        found = [tree.this, *tree.expressions]
        if name in {"Greatest", "Least"} and len(found) != 2:
            raise self._error(tree, "min and max of values compare two of them")
        return found

    def _not_known(self, tree: Any, name: str) -> MetricError:
        if name in {"Subquery", "Select", "Exists"}:
            return self._error(tree, "a metric asks nothing but sessions: a query is not allowed")
        if name == "Alias":
            return self._error(tree, "a metric has its name beside it: leave out what follows")
        if name.startswith("Anonymous") or hasattr(tree, "sql_name"):
            called = str(tree.this if name.startswith("Anonymous") else tree.sql_name()).lower()
            near = did_you_mean(called, (*AGGREGATES, *_FUNCTIONS))
            near = "; did you mean avg?" if called in {"mean", "average"} else near
            return self._error(tree, f"there is no function {called!r}{near or '.'} {_ALLOWED}")
        return self._error(tree, f"this is not allowed in a metric. {_ALLOWED}")

    def _field(self, tree: Any, *, within: bool) -> Field:
        table, column = tree.table, tree.name
        if tree.args.get("db") or tree.args.get("catalog"):
            raise self._error(tree, "write the name of a column or an evaluation, or name.label")
        if table:
            if column.lower() not in {"score", "label"}:
                problem = f"an evaluation has .score and .label, not .{column}"
                raise self._error(tree, problem)
            field = Field(table, "score" if column.lower() == "score" else "label")
        else:
            field = Field(column)
        if not within:
            problem = f"{field} is of one session; write what is asked of all: avg({field})"
            raise self._error(tree, problem)
        error_spans = [it.meta for it in tree.walk() if "start" in it.meta]
        start = min((it["start"] for it in error_spans), default=len(_BEFORE)) - len(_BEFORE)
        end = max((it["end"] for it in error_spans), default=len(_BEFORE)) + 1 - len(_BEFORE)
        self.places.setdefault(field, (start, end))
        return field

    def _aggregate(self, tree: Any, function: str, *, within: bool) -> Aggregate:
        if within:
            raise self._error(tree, f"{function} stands within another one, which is not allowed")
        given = type(tree.this).__name__
        if given in {"Star", "NoneType"} and function == "count":
            return Aggregate("count", None)
        if given == "Distinct" or tree.expressions:
            raise self._error(tree, f"{function} is applied to one value, without DISTINCT")
        argument = self._node(tree.this, within=True)
        if function != "count" and kind_of(argument) in {"text", "any"}:
            raise self._error(tree, f"{function} needs numbers, and this is a text")
        return Aggregate(function, argument)

    def number(self, tree: Any) -> Value:
        if tree.is_string:
            return Value(tree.this)
        try:
            number = float(tree.this)
        except ValueError:
            number = math.inf
        if not math.isfinite(number):
            raise self._error(tree, "this is no number that can be used")
        return Value(int(number) if number.is_integer() and abs(number) < 2**53 else number)

    def _checked(self, tree: Any, call: Call) -> Call:
        """Raise an error if a text is used as a number, or is compared with one."""
        kinds = [kind_of(it) for it in call.arguments]
        if call.function in _ARITHMETIC and "text" in kinds:
            raise self._error(tree, "a text is no number to calculate with")
        if call.function in _COMPARISONS and "text" in kinds and {"number", "truth"} & {*kinds}:
            raise self._error(tree, "a text is compared with a number")
        if call.function == "like" and {"number", "truth"} & {*kinds}:
            raise self._error(tree, "LIKE compares texts")
        return call


_OTHERS = {
    "Neg": "negative",
    "Not": "not",
    "Abs": "abs",
    "Coalesce": "coalesce",
    "Greatest": "greatest",
    "Least": "least",
    "In": "in",
    "Between": "and",
    "Is": "is null",
    "If": "case",
    "Case": "case",
}
_LEAVES: dict[str, Callable[[_Reader, Any], Node]] = {
    "Literal": lambda reader, tree: reader.number(tree),
    "Null": lambda _, __: Value(None),
    "Boolean": lambda _, tree: Value(int(bool(tree.this))),
}
