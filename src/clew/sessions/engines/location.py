"""Finds out from a URL which engine is meant, and opens it."""

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit, urlunsplit

from clew.core.install_command import pip_line
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError
from clew.store.location import home_expanded

if TYPE_CHECKING:
    from clew.sessions.engines.engine import Engine


_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_YEARS = range(1678, 2262)
"""Nanoseconds are counted in 64 bits."""
_AGO = re.compile(r"(\d+)([mhdw])")


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
_OF_FILES = {"chdb", "duckdb", "parquet", "sqlite"}
_EXAMPLES = "sqlite:FILE, duckdb:FILE, parquet:FOLDER or clickhouse://HOST/DATABASE"


def is_url(text: str) -> bool:
    """Whether *text* names an engine, and not a file. ``C:`` begins a path."""
    scheme, colon, _ = text.partition(":")
    return bool(colon) and len(scheme) > 1 and scheme.isalnum() and not _is_there(Path(text))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # Such as a name that is too long for a file.
        return False


def sqlite_path(url: str) -> Path | None:
    """Return the file that ``sqlite:FILE`` names; None if it names something else."""
    scheme, _, rest = url.partition(":")
    return home_expanded(rest.removeprefix("//")) if scheme == "sqlite" else None


def shown(url: str) -> str:
    """Return *url* without the user and the password, which are never printed."""
    scheme, _, place = url.partition(":")
    if scheme in _OF_FILES and "://" in place:  # Such as parquet:s3://BUCKET/FOLDER.
        return f"{scheme}:{_without_password(place)}"
    return _without_password(url)


def _without_password(url: str) -> str:
    if "://" not in url:
        scheme, colon, rest = url.partition("?")[0].partition(":")
        # Of a server's URL whose slashes were forgotten.
        secret = scheme not in _OF_FILES and "@" in rest
        return f"{scheme}{colon}{rest.rpartition('@')[2] if secret else rest}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("://")[0]
    host = parts.netloc.rpartition("@")[2]
    if ":" in parts.netloc and "@" in url.partition(parts.netloc)[2]:
        # A password with a slash, say, which ends the host's part. What is what cannot be told.
        return f"{parts.scheme}://…"
    path = parts.path.partition(";")[0]  # Spark Connect's parameters, such as its token.
    return urlunsplit((parts.scheme, host, path, "", ""))


def window_of(url: str) -> Window:
    """Return when the spans began that ``?since=7d`` and ``until=2026-01-31`` in a URL choose."""
    options = parse_qs(url.partition("?")[2], keep_blank_values=True)
    since, until = (_nanoseconds(name, options.get(name)) for name in ("since", "until"))
    return Window(since, until)


def _nanoseconds(name: str, given: Sequence[str] | None) -> int | None:
    if not given:
        return None
    text = given[-1].strip()
    if ago := _AGO.fullmatch(text):
        found = time_ns() - int(ago[1]) * _UNITS[ago[2]] * 10**9
        is_near = found > -(2**63)
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            message = f"{name}={text!r} is no time; write 12h, 7d or a date such as 2026-01-31"
            raise EngineError(message) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found = int(moment.timestamp()) * 10**9
        is_near = moment.year in _YEARS
    if not is_near:
        message = f"{name}={text!r:.40} is too far away: no span began before 1678 or after 2261"
        raise EngineError(message)
    return found


def check_options(query: str, known: Collection[str]) -> None:
    """Raise an error if there is an option in the *query* of a URL that is not *known*."""
    if unknown := parse_qs(query, keep_blank_values=True).keys() - {*known}:
        names = ", ".join(sorted(unknown))
        message = f"unknown in the URL: {names:.80}; known: {', '.join(sorted(known))}"
        raise EngineError(message)


class Place(NamedTuple):
    """The engines of a store: where the spans are, and where clew keeps what it finds in them."""

    source: "Engine"
    tables: "Engine"
    is_shared: bool
    """Whether the tables are on the engine, for all who read it, and not in a file here."""


def connect(url: str, folder: Path) -> Place:
    """Open the engine at *url*; clew's tables are there, or else in a file in *folder*."""
    module = _module(url)
    file = file_for(url, folder, "duckdb")
    if module.__name__.endswith("duckdb_engine"):
        # In one connection, so that a question can ask for spans and sessions.
        both = _opened(module, url, file)
        is_shared = both.source_has_tables()
        if is_shared:
            both.close()
            both = _opened(module, url)
        _make_tables(both)
        return Place(both, both, is_shared)
    source = _opened(module, url)
    if source.has_tables():
        return Place(source, source, is_shared=True)
    tables: Engine = import_module("clew.sessions.engines.duckdb_engine").local_tables(file)
    _make_tables(tables)
    return Place(source, tables, is_shared=False)


def connect_source(url: str) -> "Engine":
    """Open the engine at *url* only to read its spans."""
    engine: Engine = _opened(_module(url), url)
    return engine


def _opened(module: Any, url: str, *tables: Path) -> Any:
    """Open an engine, which has more methods than its protocol where it is DuckDB."""
    try:
        return module.open_engine(url, *tables)
    except OSError as error:  # Such as a name that is too long for a file.
        message = f"{shown(url):.200} cannot be opened: {error.strerror or error}"
        raise EngineError(message) from error


def check_kind(url: str) -> None:
    """Raise an error if *url* begins like that of no engine."""
    if url.partition(":")[0] not in _KINDS:
        message = f"{shown(url)!r} names no store: write {_EXAMPLES}"
        raise EngineError(message)


def _module(url: str) -> Any:
    check_kind(url)
    kind = _KINDS[url.partition(":")[0]]
    try:
        import_module("sqlglot")
        return import_module(f"clew.sessions.engines.{kind.module}")
    except ImportError as error:
        message = f"{shown(url)} needs {error.name}; {pip_line(kind.extra)}"
        raise EngineError(message) from error


def file_for(url: str, folder: Path, ending: str) -> Path:
    """Return the file in *folder* in which is kept what is known of the engine at *url*."""
    options = parse_qs(url.partition("?")[2])
    # Two tables of a server are two stores, whose URLs are shown alike.
    names = [it for it in ("database", "table", "path") if it in options]
    place = "?".join((_place_of(url), *(f"{name}={options[name][-1]}" for name in names)))
    digest = sha256(place.encode(errors="surrogatepass")).hexdigest()
    return folder / f"{digest[:16]}.{ending}"


def _place_of(url: str) -> str:
    """Return what *url* names, the same for all ways to write the path of a file or folder."""
    scheme, _, rest = url.partition("?")[0].partition(":")
    if scheme not in _OF_FILES:
        return shown(url)
    if "://" in rest:
        return shown(url).rstrip("/")
    try:
        return f"{scheme}:{home_expanded(rest.removeprefix('//')).resolve()}"
    except (OSError, RuntimeError, ValueError):  # No path, which whoever opens it will say.
        return shown(url)


def _make_tables(engine: "Engine") -> None:
    if not engine.has_tables():
        for statement in engine.table_statements():
            engine.execute(statement)
