"""Reads a query in SQLite's SQL, and puts its parameters into it."""

import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from clew.sessions.engines.errors import EngineError

Parameters = Sequence[Any] | Mapping[str, Any]
_COLOURS = re.compile(r"\x1b\[\d*m")
_FORBIDDEN = (exp.DML, exp.DDL, exp.Command, exp.Into)


def parsed(sql: str, parameters: Parameters = ()) -> exp.Query:
    """Return the SELECT that *sql* is, with values in place of ``?`` and ``:name``."""
    try:
        text, values = _named(sql, parameters)
        statements = [it for it in sqlglot.parse(text, read="sqlite") if it is not None]
    except SqlglotError as error:
        reason = _COLOURS.sub("", str(error)).replace("\n", " ")
        raise unanswerable(reason) from error
    if len(statements) != 1:
        raise unanswerable(f"it has to be one statement, and there are {len(statements)}")
    (query,) = statements
    if not isinstance(query, exp.Query):
        raise unanswerable("it selects nothing")
    for node in query.walk():
        if isinstance(node, _FORBIDDEN) and not isinstance(node, exp.Query):
            raise unanswerable(f"it may only select, and there is {node.key.upper()}")
    for mark in list(query.find_all(exp.Placeholder)):
        if mark.this not in values:
            raise unanswerable(f"no value is given for :{mark.this}")
        mark.replace(literal(values[mark.this]))
    return query


def unanswerable(reason: str) -> EngineError:
    """Return the error for a query that cannot be answered."""
    return EngineError(f"this query cannot be answered: {reason}")


def _named(sql: str, parameters: Parameters) -> tuple[str, Mapping[str, Any]]:
    """Return *sql* with a name for each question mark, and the values by their names."""
    if isinstance(parameters, Mapping):
        return sql, parameters
    tokens = sqlglot.tokenize(sql, read="sqlite")
    places = [it.start for it in tokens if it.token_type == TokenType.PLACEHOLDER]
    if len(places) != len(parameters):
        raise unanswerable(
            f"it has {len(places)} question marks, and {len(parameters)} values are given"
        )
    parts, done = [], 0
    for number, place in enumerate(places):
        parts += [sql[done:place], f":given_{number}"]
        done = place + 1
    values = {f"given_{number}": it for number, it in enumerate(parameters)}
    return "".join(parts) + sql[done:], values


def literal(value: Any) -> exp.Expression:
    """Return a constant. Bytes are ids, which are hexadecimal text on engines."""
    if value is None:
        return exp.Null()
    if isinstance(value, str):
        return exp.Literal.string(value)
    if isinstance(value, bytes):
        return exp.Literal.string(value.hex())
    if isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        number = exp.Literal.number(repr(abs(value)) if type(value) is float else abs(int(value)))
        return exp.Paren(this=exp.Neg(this=number)) if value < 0 else number
    raise unanswerable(f"a value of the type {type(value).__name__} cannot be given: {value!r:.80}")
