"""Makes mutants of a module: copies of its text in each of which one small thing is wrong.

What is changed is replaced where it stands in the text, so that every other line keeps its number.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

_OTHER_COMPARISON: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OTHER_OPERATOR: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}


class Mutant(NamedTuple):
    """One change to a module: where it is, what stood there, what stands there now."""

    line: int
    column: int
    kind: str
    old: str
    new: str
    text: str
    """The whole module with the change."""

    @property
    def name(self) -> str:
        """What it is called in the results: it stays the same while the line does not move."""
        return f"{self.line}:{self.column} {self.kind}: {_short(self.old)} -> {_short(self.new)}"


def mutants(source: str) -> list[Mutant]:
    """Return every mutant of *source*, from its first line to its last."""
    lines = source.encode().splitlines(keepends=True)
    found = {}
    for node, kind, new in _changes(ast.parse(source)):
        text, old, new_text = _replaced(lines, node, new)
        mutant = Mutant(node.lineno, node.col_offset, kind, old, new_text, text)
        found.setdefault(text, mutant)
    return sorted(found.values(), key=lambda mutant: (mutant.line, mutant.column, mutant.kind))


Change = tuple[ast.expr | ast.stmt, str, ast.AST]


def _changes(tree: ast.Module) -> Iterator[Change]:
    for node in _code_of(tree):
        if isinstance(node, ast.stmt):
            yield from _of_statement(node)
        elif isinstance(node, ast.expr):
            yield from _of_expression(node)
        tests = node.ifs if isinstance(node, ast.comprehension) else []
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            tests = [node.test]
        for test in tests:
            if not _is_negated_by_another_change(test):
                yield test, "condition negated", ast.UnaryOp(ast.Not(), test)


def _is_negated_by_another_change(test: ast.expr) -> bool:
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return not isinstance(test.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def _code_of(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through what is executed for its effect: no annotations, decorators and docstrings."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "type_params", "bases"}:
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST) and not isinstance(part, ast.JoinedStr):
                yield from _code_of(part)


def _of_statement(node: ast.stmt) -> Iterator[Change]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign() | ast.Raise():
            yield node, "statement removed", ast.Pass()
        case ast.Continue() | ast.Break() | ast.Delete():
            yield node, "statement removed", ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "statement removed", ast.Pass()
        case ast.Return(value=ast.Constant(value=bool() | None)) | ast.Return(value=None):
            pass  # As a constant, or it returns nothing already.
        case ast.Return():
            yield node, "returns None", ast.Return(ast.Constant(None))


def _of_expression(node: ast.expr) -> Iterator[Change]:
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                operators = list(node.ops)
                operators[place] = _OTHER_COMPARISON[type(operator)]()
                changed = ast.Compare(node.left, operators, node.comparators)
                yield node, "comparison", changed
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield node, "and/or", ast.BoolOp(other, node.values)
        case ast.UnaryOp(op=ast.Not()):
            yield node, "not removed", node.operand
        case ast.BinOp() if type(node.op) in _OTHER_OPERATOR:
            other_operator = _OTHER_OPERATOR[type(node.op)]()
            yield node, "operator", ast.BinOp(node.left, other_operator, node.right)
        case ast.Constant(value=bool() as value):
            yield node, "constant", ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield node, "constant", ast.Constant(value + 1)
            yield node, "constant", ast.Constant(value - 1)


def _replaced(lines: list[bytes], node: ast.expr | ast.stmt, new: ast.AST) -> tuple[str, str, str]:
    """Return the module with *new* in the place of *node*, and the two texts."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    start = b"".join(lines[:first]) + lines[first][: node.col_offset]
    end = lines[last][node.end_col_offset :] + b"".join(lines[last + 1 :])
    old = b"".join(lines)[len(start) : -len(end) or None].decode()
    text = ast.unparse(new)
    is_expression = isinstance(new, ast.expr)
    newlines = "\n" * (last - first)
    placed = f"({text}{newlines})" if is_expression else f"{text}{newlines}"
    return start.decode() + placed + end.decode(), old, text


def _short(text: str) -> str:
    return " ".join(text.split())[:70]
