"""Names the columns of a question as SQLite names them, whatever they are called on an engine."""

from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

_WRITTEN = "written"
_ENDS = frozenset(
    {
        TokenType.FROM,
        TokenType.WHERE,
        TokenType.GROUP_BY,
        TokenType.HAVING,
        TokenType.WINDOW,
        TokenType.UNION,
        TokenType.EXCEPT,
        TokenType.INTERSECT,
        TokenType.ORDER_BY,
        TokenType.LIMIT,
        TokenType.SEMICOLON,
    }
)
"""What comes after that which a SELECT selects."""
_DEEPER = frozenset({TokenType.L_PAREN, TokenType.CASE})
_HIGHER = frozenset({TokenType.R_PAREN, TokenType.END})


def note_names(query: exp.Query, sql: str) -> None:
    """Note at each column of *query*, which is that of *sql*, how its name is written."""
    for definition in query.find_all(exp.CTE):
        _give_names(first_select(definition.this), definition.args["alias"])
    first = first_select(query)
    texts = list(_selected(sql))
    for select in query.find_all(exp.Select):
        own = texts if select is first and len(texts) == len(select.expressions) else []
        for place, node in enumerate(list(select.expressions)):
            _note(node, place, own[place] if own else "")


def _give_names(select: exp.Query, alias: exp.TableAlias) -> None:
    """Put the names that stand before a common table expression into its SELECT."""
    names = alias.args.get("columns") or []
    if len(names) != len(select.expressions) or any(it.is_star for it in select.expressions):
        return
    for node, name in zip(list(select.expressions), names, strict=True):
        node.replace(exp.Alias(this=node.unalias().copy(), alias=name.copy()))
    alias.set("columns", None)


def _note(node: exp.Expression, place: int, text: str) -> None:
    given = node.args.get("alias")
    identifier = given.this if isinstance(given, exp.TableAlias) else given
    if isinstance(identifier, exp.Identifier):
        identifier.meta[_WRITTEN] = identifier.name
    elif not (node.is_star or isinstance(node.unnest(), exp.Column)):
        name = exp.to_identifier(f"clew_column_{place}", quoted=True)
        if text:
            name.meta[_WRITTEN] = text
        node.replace(exp.Alias(this=node.copy(), alias=name))


def names_of(query: exp.Query) -> list[str]:
    """Return the names that SQLite gives the columns of *query*, which is qualified."""
    select, definitions = first_select(query), list(query.root().find_all(exp.CTE))
    return [_name(it, select, definitions) for it in select.expressions]


def tell_apart(query: exp.Query) -> None:
    """Give each column of *query* another name: ClickHouse does not take two of one name."""
    select, seen = first_select(query), set[str]()
    for node in select.expressions:
        name, number = node.alias_or_name, 1
        while name in seen:
            number += 1
            name = f"{node.alias_or_name}_{number}"
        seen.add(name)
        if name != node.alias_or_name and isinstance(node, exp.Alias):
            node.set("alias", exp.to_identifier(name, quoted=True))


def first_select(query: exp.Query) -> exp.Query:
    """Return the SELECT by which the columns of *query* are named."""
    while isinstance(query, exp.SetOperation):
        query = query.this.unnest()
    return query


def _name(node: exp.Expression, select: exp.Query, definitions: Sequence[exp.CTE]) -> str:
    alias = node.args.get("alias")
    if isinstance(alias, exp.Identifier) and _WRITTEN in alias.meta:
        return str(alias.meta[_WRITTEN])
    column = node.unalias().unnest()
    if not isinstance(column, exp.Column):
        return str(node.alias_or_name)
    for origin, source in origins_of(column, select, definitions):
        return _name(origin, source, definitions)
    return str(column.name)


def origins_of(
    column: exp.Column, select: exp.Query, definitions: Sequence[exp.CTE]
) -> Iterator[tuple[exp.Expression, exp.Query]]:
    """Yield what *column* of *select* is made of, and where, if that is not a view.

    Those of common table expressions are in *definitions*.
    """
    for source in _sources(column.table, select, definitions):
        for other in source.expressions:
            if other.alias_or_name == column.name:
                yield other, source


def _sources(name: str, select: exp.Query, definitions: Sequence[exp.CTE]) -> Iterator[exp.Query]:
    """Yield the query that *select* calls *name*, if it is not a view."""
    for part in select.iter_expressions():
        source = part.this if isinstance(part, exp.From | exp.Join) else None
        if source is None or source.alias_or_name != name:
            continue
        if isinstance(source, exp.Subquery):
            yield first_select(source.this)
        for definition in definitions:
            if isinstance(source, exp.Table) and definition.alias == source.name:
                yield first_select(definition.this)


def _selected(sql: str) -> Iterator[str]:
    """Yield what the first SELECT that is in no parentheses selects, as it is written."""
    tokens = sqlglot.tokenize(sql, read="sqlite")
    depth, start = 0, -1
    for place, token in enumerate(tokens):
        if token.token_type in _HIGHER:
            depth -= 1
        if start < 0:
            if token.token_type == TokenType.SELECT and not depth:
                start = place + 1
                start += tokens[start].token_type in {TokenType.DISTINCT, TokenType.ALL}
        elif not depth and (token.token_type == TokenType.COMMA or _is_end(tokens, place)):
            yield sql[tokens[start].start : token.start].rstrip()
            start = place + 1
            if token.token_type != TokenType.COMMA:
                return
        if token.token_type in _DEEPER:
            depth += 1
    if 0 <= start < len(tokens):
        yield sql[tokens[start].start :].rstrip()


def _is_end(tokens: Sequence[Token], place: int) -> bool:
    """Whether what is selected ends before a token; in IS DISTINCT FROM it does not."""
    return tokens[place].token_type in _ENDS and tokens[place - 1].token_type != TokenType.DISTINCT
