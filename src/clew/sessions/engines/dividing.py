"""Says which divisions SQLite takes for whole ones in some rows only.

There a value is whole or not by itself, on an engine by its column: half of ``CASE WHEN a THEN 1
ELSE 2.5 END`` is 0 or 1.25 on SQLite, and would be 0.5 or 1.25 elsewhere.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from sqlglot import exp

from clew.sessions.engines.naming import first_select, origins_of

_ZERO, _WHOLE, _FRACTION = "zero", "whole", "fraction"
_CHOICES = (exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Least, exp.Greatest)
_KEEP = (
    exp.Paren,
    exp.Alias,
    exp.Neg,
    exp.Abs,
    exp.Sum,
    exp.Min,
    exp.Max,
    exp.FirstValue,
    exp.Lag,
    exp.Lead,
    exp.Window,
    exp.Filter,
    exp.Distinct,
)


def is_uncertain(division: exp.Div) -> bool:
    """Whether *division* is one of whole numbers in some rows, and of others in other rows."""
    select = division.find_ancestor(exp.Select)
    if select is None:
        return False
    definitions = list(division.root().find_all(exp.CTE))
    left, right = (_kinds(it, select, definitions) for it in (division.this, division.expression))
    return _WHOLE in left and bool(right - {_FRACTION}) and _FRACTION in left | right


def _kinds(
    node: exp.Expression, select: exp.Query, definitions: Sequence[exp.CTE]
) -> frozenset[str]:
    """Return what *node* may be in a row."""
    if node.is_type(*exp.DataType.INTEGER_TYPES) or isinstance(node, exp.Literal):
        return frozenset({_kind_of_number(node)})
    if isinstance(node, exp.Add | exp.Sub | exp.Mul):
        sides = (_kinds(it, select, definitions) for it in (node.this, node.expression))
        multiplied = isinstance(node, exp.Mul)
        return frozenset(_combined(*it, multiplied=multiplied) for it in product(*sides))
    found = frozenset[str]()
    for origin, source in _origins(node, select, definitions):
        found |= _kinds(origin, source, definitions)
    return found or frozenset({_FRACTION})


def _kind_of_number(number: exp.Expression) -> str:
    if not isinstance(number, exp.Literal):
        return _WHOLE
    if not number.is_int:
        return _FRACTION
    return _WHOLE if int(number.name) else _ZERO


def _origins(
    node: exp.Expression, select: exp.Query, definitions: Sequence[exp.CTE]
) -> Iterator[tuple[exp.Expression, exp.Query]]:
    """Yield of what *node* has its value, and in which SELECT that is."""
    if isinstance(node, exp.Column):
        yield from origins_of(node, select, definitions)
    elif isinstance(node, exp.Subquery):
        inner = first_select(node.this)
        yield inner.expressions[0], inner
    elif isinstance(node, _CHOICES):
        yield from ((it, select) for it in _chosen(node) if not isinstance(it, exp.Null))
    elif isinstance(node, _KEEP):
        yield from ((it, select) for it in (node.this, *node.expressions))


def _chosen(node: exp.Expression) -> list[exp.Expression]:
    """Return what *node* has the choice of."""
    if isinstance(node, exp.Case | exp.If):
        values = [it.args.get("true") for it in (*node.args.get("ifs", ()), node)]
        values += [node.args.get("default"), node.args.get("false")]
        return [it for it in values if it is not None]
    if isinstance(node, exp.Nullif):
        return [node.this]
    return [node.this, *node.expressions]


def _combined(left: str, right: str, *, multiplied: bool) -> str:
    if _FRACTION in {left, right}:
        return _FRACTION
    if multiplied and _ZERO in {left, right}:
        return _ZERO
    return left if left == right else _WHOLE
