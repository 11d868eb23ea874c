"""Where a ClickHouse is, and who asks it: read from a URL and the environment."""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.location import shown
from clew.store.location import home_expanded

TABLE = "otel_traces"
_OPTIONS = frozenset({"table", "secure", "since", "until"})
_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class Credentials(NamedTuple):
    """Who asks. Neither is ever printed."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "Credentials(...)"


class Address(NamedTuple):
    """Where the table of spans is."""

    label: str
    """As it may be printed."""
    database: str
    table: str
    host: str = ""
    port: int | None = None
    secure: bool = False
    credentials: Credentials | None = None
    folder: Path | None = None
    """Where chdb, which runs in this process, keeps its files."""


def address_of(url: str) -> Address:
    """Return what ``clickhouse://host/database`` or ``chdb:FOLDER`` says."""
    scheme, _, rest = url.partition(":")
    if scheme == "chdb":
        place, _, query = rest.partition("?")
        options = _options(query, _OPTIONS - {"secure"} | {"database"})
        if not place:
            message = "chdb: names no folder; write chdb:FOLDER"
            raise EngineError(message)
        folder = home_expanded(place.removeprefix("//"))
        database = options.get("database", "default")
        return Address(f"chdb:{folder}", database, options.get("table", TABLE), folder=folder)
    parts = urlsplit(url)
    options = _options(parts.query, _OPTIONS)
    label = shown(url)
    if "," in parts.netloc.rpartition("@")[2]:
        message = (
            f"{label} names several hosts, and one is asked: name one of them, with a Distributed "
            "table if the spans are on all, or what passes questions on to them"
        )
        raise EngineError(message)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        message = f"{label} has no usable port; write clickhouse://HOST:8123/DATABASE"
        raise EngineError(message) from error
    if not host:
        message = f"{label} names no host; write clickhouse://HOST/DATABASE"
        raise EngineError(message)
    secure = options.get("secure", "0").lower()
    if secure not in _TRUTHS:
        message = f"secure={secure} is neither 1 nor 0"
        raise EngineError(message)
    database = unquote(parts.path.strip("/")) or os.environ.get("CLICKHOUSE_DATABASE", "default")
    return Address(
        label,
        database,
        options.get("table", TABLE),
        host,
        port,
        _TRUTHS[secure],
        Credentials(
            unquote(parts.username or "") or os.environ.get("CLICKHOUSE_USER", "default"),
            unquote(parts.password or "") or os.environ.get("CLICKHOUSE_PASSWORD", ""),
        ),
    )


def _options(query: str, known: frozenset[str]) -> dict[str, str]:
    options = dict(parse_qsl(query))
    unknown = options.keys() - known
    if unknown:
        message = (
            f"unknown in the URL: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
        )
        raise EngineError(message)
    return options
