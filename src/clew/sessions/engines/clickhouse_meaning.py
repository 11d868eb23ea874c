"""Rewrites what ClickHouse alone would answer otherwise than SQLite, without an error."""

from sqlglot import exp

from clew.sessions.engines.errors import UnsupportedError

_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul)
_BITS = {exp.BitwiseAnd: "bitAnd", exp.BitwiseOr: "bitOr", exp.BitwiseNot: "bitNot"}


def rewritten_for_clickhouse(node: exp.Expression) -> exp.Expression:
    """Return *node* as ClickHouse has to be asked; what is in it is rewritten already."""
    if isinstance(node, exp.In):
        return node if _is_asked_whether_true(node) else _in(node)
    if isinstance(node, exp.Lag | exp.Lead):  # At the edge there would be 0 or ''.
        # Before 30, sqlglot wrote leadInFrame, which sees nothing after its row.
        others = [node.args[it] for it in ("offset", "default") if node.args.get(it)]
        return _call(node.key, _call("toNullable", node.this), *others)
    if isinstance(node, exp.Avg):  # The sum of whole numbers would overflow.
        for value in _arguments(node):
            if value.is_type(*exp.DataType.INTEGER_TYPES):
                value.replace(_call("toInt128", value.copy()))
    for kind, name in _BITS.items():
        if isinstance(node, kind):
            return _call(name, *(_call("toInt64", it) for it in node.args.values() if it))
    return node


def check_overflow(query: exp.Query) -> None:
    """Have sums and products of whole numbers fail where they do not fit into 64 bits."""
    nodes: list[exp.Expression] = list(query.find_all(*_ARITHMETIC, exp.Sum, bfs=False))
    for node in reversed(nodes):
        if node.find_ancestor(exp.Limit, exp.Offset) is not None:
            continue
        values = _arguments(node)
        if not all(it.is_type(*exp.DataType.INTEGER_TYPES) for it in values):
            continue
        for value in values:
            value.replace(_call("toInt128", value.copy()))
        whole = node
        while isinstance(whole.parent, exp.Filter | exp.Window) and whole.arg_key == "this":
            whole = whole.parent
        checked = _call("accurateCast", whole.copy(), exp.Literal.string("Int64"))
        checked.type = exp.DataType.build("bigint")
        whole.replace(checked)


def _arguments(node: exp.Expression) -> list[exp.Expression]:
    if isinstance(node, exp.Binary):
        return [node.this, node.expression]
    return list(node.this.expressions) if isinstance(node.this, exp.Distinct) else [node.this]


def _is_asked_whether_true(node: exp.Expression) -> bool:
    """Whether a condition that is NULL counts as one that is false."""
    parent = node.parent
    if isinstance(parent, exp.Paren | exp.And | exp.Or):
        return _is_asked_whether_true(parent)
    if isinstance(parent, exp.If):
        return node.arg_key == "this"
    return isinstance(parent, exp.Where | exp.Having | exp.Join)


def _in(node: exp.In) -> exp.Expression:
    """Return what is true, false or NULL as the standard says: NULL may be in a list."""
    query, value = node.args.get("query"), node.this
    if query is None:
        return _in_list(node)
    if isinstance(value, exp.Tuple):
        message = (
            "NOT IN, and IN as a value, of several columns do not mean the same on ClickHouse; "
            "compare one column, or use a LEFT JOIN"
        )
        raise UnsupportedError(message)
    rows = query.unnest()
    column = exp.to_identifier(rows.named_selects[0], quoted=True)
    source = exp.Subquery(this=rows.copy(), alias=exp.TableAlias(this=exp.to_identifier("listed")))
    known = exp.Count(this=exp.Column(this=column))
    nulls = exp.Sub(this=exp.Count(this=exp.Star()), expression=known)
    case = exp.Case().when(node.copy(), exp.Literal.number(1))
    case = case.when(_is_zero(exp.Count(this=exp.Star()), source), exp.Literal.number(0))
    case = case.when(exp.Is(this=value.copy(), expression=exp.Null()), exp.Null())
    return exp.Paren(
        this=case.when(_is_zero(nulls, source), exp.Literal.number(0)).else_(exp.Null())
    )


def _is_zero(number: exp.Expression, source: exp.Subquery) -> exp.Expression:
    counted = exp.Subquery(this=exp.select(number).from_(source.copy()))
    return exp.EQ(this=counted, expression=exp.Literal.number(0))


def _in_list(node: exp.In) -> exp.Expression:
    values = [it for it in node.expressions if not isinstance(it, exp.Null)]
    parts: list[exp.Expression] = [
        exp.EQ(this=node.this.copy(), expression=it.copy())
        for it in values
        if not isinstance(it.unnest(), exp.Literal | exp.Neg)
    ]
    constants = [it.copy() for it in values if isinstance(it.unnest(), exp.Literal | exp.Neg)]
    if constants:
        parts.append(exp.In(this=node.this.copy(), expressions=constants))
    if len(values) < len(node.expressions):
        parts.append(exp.Null())
    return exp.Paren(this=exp.or_(*parts)) if parts else node


def _call(name: str, *arguments: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this=name, expressions=list(arguments))
