"""Finds out from a URL which engine is meant, and opens it."""

from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from clew.core.install_command import pip_line
from clew.sessions.engines.errors import EngineError

if TYPE_CHECKING:
    from clew.sessions.engines.engine import Engine


class _Kind(NamedTuple):
    module: str
    extra: str


_KINDS = {
    "duckdb": _Kind("duckdb_engine", "duckdb"),
    "parquet": _Kind("duckdb_engine", "duckdb"),
    "clickhouse": _Kind("clickhouse_engine", "clickhouse"),
    "chdb": _Kind("clickhouse_engine", "clickhouse"),
    "sc": _Kind("spark_engine", "spark"),
}
_EXAMPLES = "sqlite:FILE, duckdb:FILE, parquet:FOLDER, clickhouse://HOST/DATABASE or sc://HOST:PORT"


def is_url(text: str) -> bool:
    """Whether *text* names an engine, and not a file. ``C:`` begins a path."""
    scheme, colon, _ = text.partition(":")
    return bool(colon) and len(scheme) > 1 and scheme.isalnum() and not Path(text).exists()


def sqlite_path(url: str) -> Path | None:
    """Return the file that ``sqlite:FILE`` names; None if it names something else."""
    scheme, _, rest = url.partition(":")
    return Path(rest.removeprefix("//")).expanduser() if scheme == "sqlite" else None


def shown(url: str) -> str:
    """Return *url* without the user and the password, which are never printed."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    path = parts.path.partition(";")[0]  # Spark Connect's parameters, such as its token.
    return urlunsplit((parts.scheme, host, path, "", ""))


class Place(NamedTuple):
    """The engines of a store: where the spans are, and where clew keeps what it finds in them."""

    source: "Engine"
    tables: "Engine"


def connect(url: str, folder: Path) -> Place:
    """Open the engine at *url*; clew's tables are there, or else in a file in *folder*."""
    scheme = url.partition(":")[0]
    kind = _KINDS.get(scheme)
    if kind is None:
        message = f"{shown(url)!r} names no store: write {_EXAMPLES}"
        raise EngineError(message)
    try:
        return _connect(import_module(f"clew.sessions.engines.{kind.module}"), url, folder)
    except ImportError as error:
        message = f"{shown(url)} needs {error.name}; {pip_line(kind.extra)}"
        raise EngineError(message) from error


def _connect(module: Any, url: str, folder: Path) -> Place:
    file = folder / f"{sha256(shown(url).encode()).hexdigest()[:16]}.duckdb"
    if url.startswith(("duckdb:", "parquet:")):
        # In one connection, so that a question can ask for spans and sessions.
        engine: Engine = module.open_engine(url, file)
        _make_tables(engine)
        return Place(engine, engine)
    source: Engine = module.open_engine(url)
    if source.has_tables():
        return Place(source, source)
    tables: Engine = import_module("clew.sessions.engines.duckdb_engine").local_tables(file)
    _make_tables(tables)
    return Place(source, tables)


def _make_tables(engine: "Engine") -> None:
    if not engine.has_tables():
        for statement in engine.table_statements():
            engine.execute(statement)
