"""Finds out from a URL which engine is meant, and opens it."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
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


def connect(url: str) -> "Engine":
    """Open the engine at *url*."""
    scheme = url.partition(":")[0]
    kind = _KINDS.get(scheme)
    if kind is None:
        message = f"{shown(url)!r} names no store: write {_EXAMPLES}"
        raise EngineError(message)
    try:
        opened: Engine = import_module(f"clew.sessions.engines.{kind.module}").open_engine(url)
    except ImportError as error:
        message = f"{shown(url)} needs {error.name}; {pip_line(kind.extra)}"
        raise EngineError(message) from error
    return opened
