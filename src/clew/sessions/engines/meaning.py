"""Rewrites a query so that an engine answers as SQLite does, or says what would be different."""

from collections.abc import Callable, Iterator

from sqlglot import exp

from clew.sessions.engines.clickhouse_meaning import rewritten_for_clickhouse
from clew.sessions.engines.dividing import is_uncertain
from clew.sessions.engines.errors import UnsupportedError
from clew.sessions.engines.schema import PUBLIC

IDS = frozenset({"trace_id", "root_id", "span_id", "parent_id"})
_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_GREATEST = 2**63
"""SQLite makes a fraction of a whole number that is greater."""
_SAME = (
    exp.Abs,
    exp.Avg,
    exp.Case,
    exp.Coalesce,
    exp.Connector,
    exp.Count,
    exp.DenseRank,
    exp.Exists,
    exp.FirstValue,
    exp.If,
    exp.Lag,
    exp.Lead,
    exp.Max,
    exp.Min,
    exp.Nullif,
    exp.Rank,
    exp.RowNumber,
    exp.Sum,
)
"""Functions that mean the same everywhere."""
_CONDITIONS = (exp.Predicate, exp.Connector, exp.Not, exp.Escape)
_DIFFERENT = (
    exp.Glob,
    exp.ILike,
    exp.JSONExtract,
    exp.JSONExtractScalar,
    exp.RegexpLike,
    exp.SimilarTo,
)


def make_types_plain(query: exp.Query) -> None:
    """Change what only SQLite has in *query*, so that the types of what it selects can be known."""
    for node in _inside_first(query):
        if isinstance(node, exp.Anonymous):
            node.replace(_total(node))
    _make_numbers_of_conditions(query)


def rewritten(query: exp.Query, dialect: str) -> exp.Query:
    """Change *query*, whose types are known: in *dialect* it shall mean what it does in SQLite."""
    if any(map(is_uncertain, query.find_all(exp.Div))):
        raise _unsupported("a division of what is a whole number in some rows only")
    for node in _inside_first(query):
        new = _rewritten(node, dialect)
        if new is not node:
            new.type = new.type or node.type
            node.replace(new)
    return query


def _rewritten(node: exp.Expression, dialect: str) -> exp.Expression:
    new = _rewritten_everywhere(node, dialect)
    return rewritten_for_clickhouse(new) if dialect == "clickhouse" and new is node else new


def _rewritten_everywhere(node: exp.Expression, dialect: str) -> exp.Expression:
    for kind, function in _REWRITTEN.items():
        if isinstance(node, kind):
            return function(node, dialect)
    if isinstance(node, _DIFFERENT):
        raise _unsupported(node.key.upper())
    if isinstance(node, exp.Func) and not isinstance(node, (*_SAME, *_CONDITIONS)):
        raise _unsupported(f"{node.sql_name()}()")
    return node


def _unsupported(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what} does not mean the same on every engine, so it is only for SQLite stores; "
        "select what it needs, and do it in your program"
    )


def is_number(node: exp.Expression) -> bool:
    """Whether the value of *node* is known to be a number."""
    return node.is_type(*exp.DataType.NUMERIC_TYPES)


def is_integer(node: exp.Expression) -> bool:
    """Whether the value of *node* is known to be a whole number."""
    return node.is_type(*exp.DataType.INTEGER_TYPES)


def _make_numbers_of_conditions(query: exp.Query) -> None:
    """In SQLite, a condition is 1 or 0, and a number is a condition."""
    for node in _inside_first(query):
        if isinstance(node, _CONDITIONS) and not _wants_condition(node):
            copy = node.copy()
            case = exp.Case().when(copy, exp.Literal.number(1))
            case = case.when(exp.not_(node.copy()), exp.Literal.number(0))
            case.type = exp.DataType.build("bigint")
            node.replace(case)
    for node in _inside_first(query):
        if not isinstance(node, (*_CONDITIONS, exp.Paren)) and _is_condition_place(node):
            if isinstance(node, exp.Boolean | exp.Subquery):
                continue
            node.replace(exp.NEQ(this=node.copy(), expression=exp.Literal.number(0)))


def _inside_first(query: exp.Query) -> Iterator[exp.Expression]:
    return reversed(list(query.find_all(exp.Expression, bfs=False)))


def _wants_condition(node: exp.Expression) -> bool:
    """Whether a condition stands where one is expected."""
    return _is_condition_place(node) or isinstance(node.parent, exp.Escape | exp.Any | exp.All)


def _is_condition_place(node: exp.Expression) -> bool:
    parent, key = node.parent, node.arg_key
    if isinstance(parent, exp.Paren):
        return _is_condition_place(parent)
    if isinstance(parent, exp.Where | exp.Having | exp.Connector | exp.Not):
        return True
    if isinstance(parent, exp.If):
        case = parent.parent
        compares = isinstance(case, exp.Case) and case.this is not None
        return key == "this" and not compares
    return isinstance(parent, exp.Join) and key == "on"


def _hex(node: exp.Expression, _: str) -> exp.Expression:
    column = node.this
    if isinstance(column, exp.Column) and column.name in IDS and not _is_hexadecimal(column):
        return column
    raise _unsupported("hex()")


def _is_hexadecimal(column: exp.Column) -> bool:
    """Whether an id is of a documented view, where it is text, on SQLite, too."""
    select = column.find_ancestor(exp.Select)
    tables = select.find_all(exp.Table) if select is not None else ()
    return any(it.alias_or_name == column.table and it.name in PUBLIC for it in tables)


def _lower(node: exp.Expression, _: str) -> exp.Expression:
    if isinstance(node.this, exp.Column) and node.this.name in IDS:
        return node.this
    return _translated(node.this, _UPPER, _LOWER)


def _upper(node: exp.Expression, _: str) -> exp.Expression:
    return _translated(node.this, _LOWER, _UPPER)


def _translated(text: exp.Expression, given: str, wanted: str) -> exp.Expression:
    """Return *text* with only the letters of ASCII changed, as SQLite changes them."""
    return exp.Anonymous(
        this="translate",
        expressions=[text, exp.Literal.string(given), exp.Literal.string(wanted)],
    )


def _like(node: exp.Expression, dialect: str) -> exp.Expression:
    escape = ""
    if isinstance(node.parent, exp.Escape):
        return node  # That one is rewritten.
    if isinstance(node, exp.Escape):
        escape, node = node.expression.name, node.this
    pattern = node.expression
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        raise _unsupported("LIKE with a pattern that is not a constant")
    text = pattern.name.translate(str.maketrans(_UPPER, _LOWER))
    like: exp.Expression = exp.Like(
        this=_translated(node.this, _UPPER, _LOWER),
        expression=exp.Literal.string(_escaped(text, escape.lower())),
    )
    if dialect == "duckdb":  # The others have this one without asking.
        like = exp.Escape(this=like, expression=exp.Literal.string("\\"))
    # From 30 on, sqlglot has NOT LIKE so; before, it is a NOT around the LIKE.
    return exp.Paren(this=exp.not_(like)) if node.args.get("negate") else like


def _escaped(pattern: str, escape: str) -> str:
    """Return *pattern* with the backslash as what takes a meaning away."""
    found, characters = "", iter(pattern)
    for character in characters:
        if escape and character == escape:
            following = next(characters, "")
            found += f"\\{following}" if following in {"%", "_", "\\"} else following
        else:
            found += "\\\\" if character == "\\" else character
    return found


def _division(node: exp.Expression, dialect: str) -> exp.Expression:
    left, right = node.this, node.expression
    divisor = exp.Nullif(this=right, expression=exp.Literal.number(0))
    if is_integer(left) and is_integer(right):
        if dialect == "clickhouse":  # Translated otherwise, it would be of floats in between.
            whole = [exp.Anonymous(this="toInt64", expressions=[it]) for it in (left, right)]
            divisor.set("this", whole[1])  # -1 would be of 8 bits, and so would be what comes out.
            return exp.Anonymous(this="intDiv", expressions=[whole[0], divisor])
        return exp.IntDiv(this=_operand(left), expression=divisor)
    if is_number(left) and is_number(right):
        double = exp.Cast(this=left, to=exp.DataType.build("double"))
        return exp.Div(this=double, expression=divisor, typed=False, safe=False)
    raise _unsupported("a division of what is not known to be a number")


def _operand(node: exp.Expression) -> exp.Expression:
    return exp.Paren(this=node) if isinstance(node, exp.Binary) else node


def _remainder(node: exp.Expression, _: str) -> exp.Expression:
    left, right = node.this, node.expression
    if not (is_integer(left) and is_integer(right)):
        raise _unsupported("% of what is not known to be whole numbers")
    return exp.Mod(
        this=_operand(left), expression=exp.Nullif(this=right, expression=exp.Literal.number(0))
    )


def _cast(node: exp.Expression, dialect: str) -> exp.Expression:
    value, wanted = node.this, node.args["to"]
    if wanted.is_type(*exp.DataType.INTEGER_TYPES) and is_number(value):
        if not is_integer(value) and dialect == "duckdb":  # It would round.
            value = exp.Anonymous(this="trunc", expressions=[value])
        return exp.Cast(this=value, to=exp.DataType.build("bigint"))
    if wanted.is_type(*exp.DataType.REAL_TYPES) and is_number(value):
        return exp.Cast(this=value, to=exp.DataType.build("double"))
    if wanted.is_type(*exp.DataType.TEXT_TYPES):
        if value.is_type(*exp.DataType.TEXT_TYPES):
            same: exp.Expression = value
            return same
        if is_integer(value):
            return exp.Cast(this=value, to=exp.DataType.build("text"))
    raise _unsupported(f"CAST({value.sql()} AS {wanted.sql()})")


def _joined(node: exp.Expression, _: str) -> exp.Expression:
    for part in (node.this, node.expression):
        if is_integer(part):
            part.replace(exp.Cast(this=part.copy(), to=exp.DataType.build("text")))
        elif is_number(part):
            raise _unsupported("a number as text")
    return node


def _extreme(node: exp.Expression, _: str) -> exp.Expression:
    """Return the least or greatest of several values, which is NULL if one of them is."""
    values = [node.this, *node.expressions]
    if all(map(is_number, values)) and not all(map(is_integer, values)):
        values = [exp.Cast(this=it, to=exp.DataType.build("double")) for it in values]
    known = exp.and_(*(exp.not_(exp.Is(this=it.copy(), expression=exp.Null())) for it in values))
    function = exp.Anonymous(this=node.key, expressions=values)
    return exp.Case().when(known, function)


def _substring(node: exp.Expression, dialect: str) -> exp.Expression:
    text, start, length = node.this, node.args.get("start"), node.args.get("length")
    if not text.is_type(*exp.DataType.TEXT_TYPES, exp.DataType.Type.NULL):
        raise _unsupported("substr() of what is not text")
    if not (isinstance(start, exp.Literal) and start.is_int and int(start.name) > 0):
        raise _unsupported("substr() that does not begin at a constant place from 1")
    name = "substringUTF8" if dialect == "clickhouse" else "substring"

    def part(*arguments: exp.Expression) -> exp.Expression:
        return exp.Anonymous(this=name, expressions=[it.copy() for it in arguments])

    if length is None:
        return part(text, start)
    if isinstance(length, exp.Null) or (isinstance(length, exp.Literal) and length.is_int):
        return part(text, start, length)
    if int(start.name) > 1 or not is_integer(length):
        raise _unsupported("substr() with a length that is not a constant from 0")
    zero = exp.Literal.number(0)  # What is before the first character is nothing.
    case = exp.Case().when(exp.GT(this=length.copy(), expression=zero), part(text, start, length))
    return case.when(exp.LTE(this=length.copy(), expression=zero.copy()), part(text, start, zero))


def _is(node: exp.Expression, _: str) -> exp.Expression:
    value, wanted = node.this, node.expression
    if isinstance(wanted, exp.Null):
        return node
    if not isinstance(wanted, exp.Boolean):  # Before 30, sqlglot leaves the standard's to others.
        return exp.NullSafeEQ(this=value, expression=wanted)
    if not is_number(value.unnest()):
        raise _unsupported("IS TRUE of what is not known to be a number")
    compared = exp.NEQ if wanted.this else exp.EQ
    known = exp.not_(exp.Is(this=value.copy(), expression=exp.Null()))
    zero = exp.Literal.number(0)
    return exp.Paren(this=exp.and_(known, compared(this=value.copy(), expression=zero)))


def _shift(node: exp.Expression, _: str) -> exp.Expression:
    raise _unsupported("<<" if isinstance(node, exp.BitwiseLeftShift) else ">>")


def _bits(node: exp.Expression, _: str) -> exp.Expression:
    values = [node.this, node.expression] if isinstance(node, exp.Binary) else [node.this]
    if not all(map(is_integer, values)):
        raise _unsupported("& or | or ~ of what is not known to be whole numbers")
    return node


def _position(node: exp.Expression, dialect: str) -> exp.Expression:
    text, wanted = node.this, node.args["substr"]
    if dialect == "clickhouse":
        return exp.Anonymous(this="positionUTF8", expressions=[text, wanted])
    name = "strpos" if dialect == "duckdb" else "instr"
    return exp.Anonymous(this=name, expressions=[text, wanted])


def _length(node: exp.Expression, dialect: str) -> exp.Expression:
    if not node.this.is_type(*exp.DataType.TEXT_TYPES):
        raise _unsupported("length() of what is not text")
    name = "lengthUTF8" if dialect == "clickhouse" else "length"
    return exp.Anonymous(this=name, expressions=[node.this])


def _total(node: exp.Expression) -> exp.Expression:
    if node.name.lower() != "total" or len(node.expressions) != 1:
        raise _unsupported(f"{node.name}()")
    total = exp.Sum(this=exp.Cast(this=node.expressions[0], to=exp.DataType.build("double")))
    return exp.Coalesce(this=total, expressions=[exp.Literal.number("0.0")])


def _id(node: exp.Expression, _: str) -> exp.Expression:
    return exp.Literal.string(node.name.lower())


def _limit(node: exp.Expression, _: str) -> exp.Expression:
    number = node.expression.unnest()
    return exp.Limit(expression=exp.Literal.number(2**62)) if isinstance(number, exp.Neg) else node


def _number(node: exp.Expression, _: str) -> exp.Expression:
    """Write a number that is not whole with an exponent: without one it would be a decimal."""
    if node.is_string or (node.is_int and int(node.name) <= _GREATEST):
        return node
    text = repr(float(node.name))
    return exp.Literal.number(text if "e" in text else f"{text}e0") if text != "inf" else node


_REWRITTEN: dict[type[exp.Expression], Callable[[exp.Expression, str], exp.Expression]] = {
    exp.Lower: _lower,
    exp.Upper: _upper,
    exp.Hex: _hex,
    exp.HexString: _id,
    exp.Escape: _like,
    exp.Like: _like,
    exp.Div: _division,
    exp.Mod: _remainder,
    exp.Cast: _cast,
    exp.DPipe: _joined,
    exp.Least: _extreme,
    exp.Greatest: _extreme,
    exp.Substring: _substring,
    exp.Is: _is,
    exp.BitwiseLeftShift: _shift,
    exp.BitwiseRightShift: _shift,
    exp.BitwiseAnd: _bits,
    exp.BitwiseOr: _bits,
    exp.BitwiseNot: _bits,
    exp.StrPosition: _position,
    exp.Length: _length,
    exp.Limit: _limit,
    exp.Literal: _number,
}
