"""Translates a query to the SQL of an engine, with the views that it asks for."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope
from sqlglot.schema import MappingSchema

from clew.sessions.engines.clickhouse_meaning import check_overflow
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import UnsupportedError
from clew.sessions.engines.meaning import make_types_plain, rewritten
from clew.sessions.engines.naming import names_of, note_names, tell_apart
from clew.sessions.engines.parsing import Parameters, parsed, unanswerable
from clew.sessions.engines.parts import session_part
from clew.sessions.engines.schema import PUBLIC, RECORDED, SPANS, TABLES
from clew.sessions.engines.views import View, views_in_time

_TYPES = {"text": "text", "int": "bigint", "float": "double"}
_SPANS, _STORED = "spans", "stored_spans"
"""The second is not documented: there a span that is stored twice may be two rows."""
_VIEWS = (
    ("clew.sessions", "views.sql"),
    ("clew.sessions.engines", "views.sql"),
)
_REPLACING = "duckdb"
"""Where a part is replaced (`Engine.replaces`), all of its rows are of one batch."""
_BATCHES = "current_batch"
_EVER = Window()
_OWN = "own_"
"""What the names of common table expressions of a question begin with."""
_WITH = re.compile(r"WITH (RECURSIVE )?")


class Translated:
    """A query in an engine's own SQL."""

    def __init__(self, sql: str, names: Sequence[str], asks: frozenset[str]) -> None:
        self.sql = sql
        self.names = names
        """The columns that it selects."""
        self.asks = asks
        """The tables of clew's that it reads, and ``spans``."""


def translated(
    sql: str,
    parameters: Parameters,
    dialect: str,
    spans: Callable[[Window], str],
    time: Window = _EVER,
) -> Translated:
    """Return *sql*, which is in SQLite's, in *dialect*; *spans* returns the SELECT of that view.

    Of the other views, only what was going on at a *time* is there.
    """
    text, names, own, window, sessions = _query(sql, _Given(repr(parameters), parameters), dialect)
    views = views_in_time(_views(dialect), time, dialect)
    wanted = list(_in_order(set(own), views))
    asks = frozenset(it for it in wanted if it not in views)
    definitions = {name: views[name].sql for name in wanted if name in views}
    if _SPANS in asks:
        definitions[_SPANS] = spans(window)
    if _STORED in asks:
        definitions[_STORED] = spans(window._replace(with_copies=True))
    if sessions and _BATCHES in definitions:
        definitions[_BATCHES] = _batches_of(sessions, dialect)
    return Translated(_with_definitions(text, definitions, dialect), names, asks)


@dataclass(frozen=True)
class _Given:
    """Parameters as a key: 1, 1.0 and True are not the same."""

    shown: str
    parameters: Parameters = field(compare=False)


class _Query(NamedTuple):
    """A query in an engine's own SQL, without the views that it asks for."""

    sql: str
    names: tuple[str, ...]
    asks: frozenset[str]
    window: Window
    sessions: tuple[str, ...]
    """To which sessions its conditions restrict it; none if they do not."""


@lru_cache(maxsize=1024)  # A page asks the same again and again.
def _query(sql: str, given: _Given, dialect: str) -> _Query:
    query = parsed(sql, given.parameters)
    note_names(query, sql)
    _rename_definitions(query)
    window, sessions = window_of(query), sessions_of(query)
    names, own = _finished(query, dialect)
    window = _asked_of_spans(query, window)
    return _Query(query.sql(dialect=dialect), tuple(names), frozenset(own), window, sessions)


def sessions_of(query: exp.Query) -> tuple[str, ...]:
    """Return the sessions to which the conditions of *query* restrict its only table."""
    where, tables = query.args.get("where"), list(query.find_all(exp.Table))
    if not isinstance(query, exp.Select) or where is None or len(tables) != 1:
        return ()
    if tables[0].find_ancestor(exp.Select) is not query:
        return ()
    for condition in where.this.flatten() if isinstance(where.this, exp.And) else [where.this]:
        column = condition.args.get("this")
        if not (isinstance(column, exp.Column) and column.name == "session_id"):
            continue
        if isinstance(condition, exp.EQ):
            values = [condition.expression]
        elif isinstance(condition, exp.In):
            values = condition.expressions
        else:
            continue
        # Outside of any session, a part is a trace.
        if values and all(
            isinstance(it, exp.Literal) and it.is_string and it.name for it in values
        ):
            return tuple(it.name for it in values)
    return ()


def _batches_of(sessions: Sequence[str], dialect: str) -> str:
    """Return the view of batches of a few sessions: those of all others are not looked for."""
    parts = ", ".join(exp.Literal.string(session_part(it)).sql(dialect) for it in sessions)
    return f"SELECT part, max(batch) AS batch FROM clew_part WHERE part IN ({parts}) GROUP BY part"


def window_of(query: exp.Query) -> Window:
    """Return when all spans began that *query* can ask for, as far as its conditions say that."""
    found = [_bounds(it) for it in query.find_all(exp.Table) if it.name in {_SPANS, _STORED}]
    if not found:
        return Window()
    since = [it.since_ns for it in found]
    until = [it.until_ns for it in found]
    return Window(
        None if None in since else min(it for it in since if it is not None),
        None if None in until else max(it for it in until if it is not None),
    )


def _asked_of_spans(query: exp.Query, window: Window) -> Window:
    """Return *window* with what else is to be known of a qualified *query* to read spans fast."""
    conditions = [it for where in query.find_all(exp.Where) for it in where.find_all(exp.Column)]
    return window._replace(
        by_session=any(it.name == "session_id" for it in conditions),
        columns=frozenset(it.name for it in query.find_all(exp.Column)),
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


def _with_definitions(query: str, definitions: Mapping[str, str], dialect: str) -> str:
    """Return *query* with common table expressions, before those that it has."""
    if not definitions:
        return query
    added = ", ".join(
        f"{exp.to_identifier(name, quoted=True).sql(dialect)} AS ({it})"
        for name, it in definitions.items()
    )
    start = _WITH.match(query)
    return f"{start[0]}{added}, {query[start.end() :]}" if start else f"WITH {added} {query}"


def _finished(query: exp.Query, dialect: str) -> tuple[list[str], set[str]]:
    """Give *query* an engine's meaning; return its columns, and the tables that it names."""
    schema = _schema(dialect)
    own = _tables(query)
    for name in own - schema.mapping.keys():
        raise unanswerable(f"there is no table {name}; there are {', '.join(PUBLIC)}")
    names = _with_meaning(query, schema, dialect)
    if dialect == "clickhouse":
        check_overflow(query)
    return names, own


def _with_meaning(query: exp.Query, schema: MappingSchema, dialect: str) -> list[str]:
    try:
        qualify(query, schema=schema, dialect="sqlite", quote_identifiers=True)
        make_types_plain(query)
        annotate_types(query, schema=schema, dialect="sqlite")
    except SqlglotError as error:
        raise unanswerable(str(error).replace("\n", " ")) from error
    names = names_of(query)
    tell_apart(query)
    if dialect == "clickhouse":
        _check_correlation(query)
        _order_by_place(query)
    rewritten(query, dialect)
    return names


def _rename_definitions(query: exp.Query) -> None:
    """Give the common table expressions of *query* names that no view has."""
    defined = {it.alias.lower() for it in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if table.name.lower() in defined and not table.db:
            if not table.alias:
                table.set("alias", exp.TableAlias(this=table.this.copy()))
            table.set("this", exp.to_identifier(f"{_OWN}{table.name.lower()}", quoted=True))
    for definition in query.find_all(exp.CTE):
        name = exp.to_identifier(f"{_OWN}{definition.alias.lower()}", quoted=True)
        definition.args["alias"].set("this", name)


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


def _in_order(names: set[str], views: Mapping[str, View]) -> Iterator[str]:
    """Yield *names* and all that they are made of, each after what it is made of."""
    done = set[str]()

    def visit(name: str) -> Iterator[str]:
        if name in done:
            return
        done.add(name)
        for other in sorted(views[name].made_of) if name in views else ():
            yield from visit(other)
        yield name

    for name in sorted(names):
        yield from visit(name)


@cache
def _views(dialect: str) -> dict[str, View]:
    return _read(dialect)[0]


@cache
def _schema(dialect: str) -> MappingSchema:
    return _read(dialect)[1]


@cache
def _read(dialect: str) -> tuple[dict[str, View], MappingSchema]:
    """Return the views with what they are made of, and the types of all columns."""
    schema = MappingSchema(dialect="sqlite")
    for name, columns in {
        **TABLES,
        **dict.fromkeys((_SPANS, _STORED), (*SPANS, *RECORDED)),
    }.items():
        schema.add_table(name, {it.name: _TYPES[it.type] for it in columns})
    views: dict[str, View] = {}
    waiting = _definitions(dialect)
    while waiting:
        for name in list(waiting):
            query = waiting[name]
            own = _tables(query)
            if own <= schema.mapping.keys():
                del waiting[name]
                schema.add_table(name, _typed_columns(query, schema))
                _with_meaning(query, schema, dialect)
                views[name] = View(query.sql(dialect=dialect), own)
    return views, schema


def _typed_columns(query: exp.Query, schema: MappingSchema) -> dict[str, str]:
    copy = query.copy()
    qualify(copy, schema=schema, dialect="sqlite", quote_identifiers=True)
    annotate_types(copy, schema=schema, dialect="sqlite")
    return {it.alias_or_name: it.type.sql() if it.type else "text" for it in copy.selects}


def _definitions(dialect: str) -> dict[str, exp.Query]:
    """Return the views of the store that are documented, and those of engines, as they stand."""
    found: dict[str, exp.Query] = {}
    for package, name in _VIEWS:
        text = (files(package) / name).read_text("utf-8")
        for statement in sqlglot.parse(text, read="sqlite"):
            if isinstance(statement, exp.Create) and isinstance(statement.expression, exp.Query):
                found[statement.this.name] = statement.expression
                if dialect == _REPLACING:
                    _leave_out_batches(statement.expression)
    del found[_SPANS]
    return found


def _leave_out_batches(view: exp.Query) -> None:
    for where in list(view.find_all(exp.Where)):
        if any(it.name == _BATCHES for it in where.find_all(exp.Table)):
            where.pop()
