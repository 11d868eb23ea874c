"""Translates a query to the SQL of an engine, with the views that it asks for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import UnsupportedError
from clew.sessions.engines.meaning import rewritten
from clew.sessions.engines.parsing import Parameters, parsed, unanswerable
from clew.sessions.engines.schema import RECORDED, SPANS, TABLES, Column

_TYPES = {"text": "text", "int": "bigint", "float": "double"}
_SPANS = "spans"
PUBLIC = (
    "sessions",
    "turns",
    "spans",
    "user_sessions",
    "evaluations",
    "evaluation_history",
)
"""The documented views."""
_Schema = dict[str, object]


class Translated:
    """A query in an engine's own SQL."""

    def __init__(self, sql: str, names: Sequence[str], asks: frozenset[str]) -> None:
        self.sql = sql
        self.names = names
        """The columns that it selects."""
        self.asks = asks
        """The tables of clew's that it reads, and ``spans``."""


def translated(
    sql: str, parameters: Parameters, dialect: str, spans: Callable[[Window], str]
) -> Translated:
    """Return *sql*, which is in SQLite's, in *dialect*; *spans* returns the SELECT of that view."""
    query = parsed(sql, parameters)
    window = window_of(query)
    names, own = _finished(query, dialect)
    views = _views(dialect)
    wanted = list(_in_order(own, views))
    asks = frozenset(it for it in wanted if it not in views)
    definitions = {
        name: sqlglot.parse_one(spans(window), read=dialect)
        if name == _SPANS
        else views[name][0].copy()
        for name in wanted
        if name == _SPANS or name in views
    }
    _add_definitions(query, definitions)
    return Translated(query.sql(dialect=dialect), names, asks)


def window_of(query: exp.Query) -> Window:
    """Return when all spans began that *query* can ask for, as far as its conditions say that."""
    found = [_bounds(it) for it in query.find_all(exp.Table) if it.name == _SPANS]
    if not found:
        return Window()
    since = [it.since_ns for it in found]
    until = [it.until_ns for it in found]
    return Window(
        None if None in since else min(it for it in since if it is not None),
        None if None in until else max(it for it in until if it is not None),
    )


def _bounds(table: exp.Table) -> Window:
    """Return the bounds of ``start_ns`` in the conditions of the SELECT that reads *table*."""
    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select is not None else None
    if select is None or where is None or len(list(select.find_all(exp.Table))) > 1:
        return Window()
    since: int | None = None
    until: int | None = None
    for condition in where.this.flatten() if isinstance(where.this, exp.And) else [where.this]:
        column, bound = condition.args.get("this"), condition.args.get("expression")
        is_start = isinstance(column, exp.Column) and column.name == "start_ns"
        if not (is_start and isinstance(bound, exp.Literal) and bound.name.isdigit()):
            continue
        value = int(bound.name)
        if isinstance(condition, exp.GTE | exp.GT | exp.EQ):
            since = value if since is None else max(since, value)
        if isinstance(condition, exp.LTE | exp.LT | exp.EQ):
            until = value + 1 if until is None else min(until, value + 1)
    return Window(since, until)


def _add_definitions(query: exp.Query, definitions: Mapping[str, exp.Expr]) -> None:
    """Add common table expressions to *query*, before those that it has."""
    if not definitions:
        return
    added = [
        exp.CTE(this=it, alias=exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
        for name, it in definitions.items()
    ]
    own = query.find(exp.With)
    if query.ctes and own is not None:
        own.set("expressions", [*added, *query.ctes])
        return
    for cte in added:
        query.with_(cte.alias, as_=cte.this, copy=False)


def _finished(query: exp.Query, dialect: str) -> tuple[list[str], set[str]]:
    """Give *query* an engine's meaning; return its columns, and the tables that it names."""
    schema = _schema(dialect)
    own = _tables(query)
    for name in own - schema.keys():
        raise unanswerable(f"there is no table {name}; there are {', '.join(PUBLIC)}")
    return _with_meaning(query, schema, dialect), own


def _with_meaning(query: exp.Query, schema: _Schema, dialect: str) -> list[str]:
    try:
        qualify(query, schema=schema, dialect="sqlite", quote_identifiers=True)
        annotate_types(query, schema=schema, dialect="sqlite")
    except SqlglotError as error:
        raise unanswerable(str(error).replace("\n", " ")) from error
    if dialect == "clickhouse":
        _check_correlation(query)
        _order_by_place(query)
    rewritten(query, dialect)
    return list(query.named_selects)


def _tables(query: exp.Query) -> set[str]:
    """Return the tables that *query* reads and does not define itself."""
    found = set[str]()
    defined = {it.alias for it in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise unanswerable(f"{table.this.sql()} is no table")
        if table.db or table.catalog:
            raise unanswerable(f"there is no table {table.sql()}; there are {', '.join(PUBLIC)}")
        if table.name not in defined:
            found.add(table.name.lower())
            table.this.set("this", table.name.lower())
    return found


def _order_by_place(query: exp.Query) -> None:
    """Sort by the place of a column: ClickHouse takes its name for that of what it is made of."""
    for select in query.find_all(exp.Query):
        order, names = select.args.get("order"), list(select.named_selects)
        for ordered in order.expressions if order is not None else ():
            column = ordered.this
            if isinstance(column, exp.Column) and not column.table and column.name in names:
                place = exp.Literal.number(names.index(column.name) + 1)
                ordered.set("this", place)


def _check_correlation(query: exp.Query) -> None:
    """ClickHouse answers ``NULL`` where a count in such a subquery is 0."""
    if any(it.is_correlated_subquery for it in traverse_scope(query)):
        message = "ClickHouse cannot answer a subquery that depends on the row around it; join it"
        raise UnsupportedError(message)


def _in_order(names: set[str], views: "Mapping[str, _View]") -> Iterator[str]:
    """Yield *names* and all that they are made of, each after what it is made of."""
    done = set[str]()

    def visit(name: str) -> Iterator[str]:
        if name in done:
            return
        done.add(name)
        for other in sorted(views[name][1]) if name in views else ():
            yield from visit(other)
        yield name

    for name in sorted(names):
        yield from visit(name)


_View = tuple[exp.Query, set[str]]


@cache
def _views(dialect: str) -> dict[str, _View]:
    return _read(dialect)[0]


@cache
def _schema(dialect: str) -> _Schema:
    return _read(dialect)[1]


@cache
def _read(dialect: str) -> tuple[dict[str, _View], _Schema]:
    """Return the views with what they are made of, and the types of all columns."""
    schema: _Schema = {name: _typed(columns) for name, columns in TABLES.items()}
    schema[_SPANS] = _typed((*SPANS, *RECORDED))
    views: dict[str, _View] = {}
    waiting = _definitions()
    while waiting:
        for name in list(waiting):
            query = waiting[name]
            own = _tables(query)
            if own <= schema.keys():
                del waiting[name]
                schema[name] = _typed_columns(query, schema)
                _with_meaning(query, schema, dialect)
                views[name] = query, own
    return views, schema


def _typed(columns: Sequence[Column]) -> dict[str, str]:
    return {it.name: _TYPES[it.type] for it in columns}


def _typed_columns(query: exp.Query, schema: _Schema) -> dict[str, str]:
    copy = query.copy()
    qualify(copy, schema=schema, dialect="sqlite", quote_identifiers=True)
    annotate_types(copy, schema=schema, dialect="sqlite")
    return {it.alias_or_name: it.type.sql() if it.type else "text" for it in copy.selects}


def _definitions() -> dict[str, exp.Query]:
    """Return the views of the store that are documented, and those of engines, as they stand."""
    found: dict[str, exp.Query] = {}
    for folder in ("clew.sessions", "clew.sessions.engines"):
        text = (files(folder) / "views.sql").read_text("utf-8")
        for statement in sqlglot.parse(text, read="sqlite"):
            if isinstance(statement, exp.Create) and isinstance(statement.expression, exp.Query):
                found[statement.this.name] = statement.expression
    del found[_SPANS]
    return found
