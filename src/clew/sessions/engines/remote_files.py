"""Parquet files in S3: DuckDB's extensions for it, whose credentials are used, and which server."""

import re
from urllib.parse import urlsplit

import duckdb

from clew.sessions.engines import aws_profile
from clew.sessions.engines.duckdb_connection import CREDENTIALS, explained, run, text
from clew.sessions.engines.errors import EngineError

_S3 = {"s3", "s3a", "s3n"}
_INSTALL = "python -c \"import duckdb; duckdb.sql('INSTALL httpfs; INSTALL aws')\""


def prepare(connection: duckdb.DuckDBPyConnection, place: str) -> None:
    """Have *connection* read what is at *place*, a URL."""
    scheme, _, rest = place.partition("://")
    if re.search("[:@]", rest.partition("/")[0]) and scheme in _S3:
        message = (
            "a bucket has no ':' and no '@' in its name, and credentials do not belong in the URL "
            f"of a store: set {CREDENTIALS}"
        )
        raise EngineError(message)
    _load(connection, place, "httpfs")
    if scheme in _S3 and not _has_secret(connection, place):
        _load(connection, place, "aws")
        _use_credentials(connection, place)


def is_there(connection: duckdb.DuckDBPyConnection, pattern: str, place: str) -> bool:
    """Whether a file is like *pattern*."""
    try:
        return bool(connection.execute(f"SELECT 1 FROM glob({text(pattern)}) LIMIT 1").fetchall())
    except duckdb.Error as error:
        raise explained(place, error) from error


def _load(connection: duckdb.DuckDBPyConnection, place: str, extension: str) -> None:
    try:
        run(connection, place, f"LOAD {extension}")
    except EngineError as error:
        message = (
            f"{place.partition('://')[0]}:// needs DuckDB's extension {extension}, which could not "
            f"be loaded; install it with: {_INSTALL}"
        )
        raise EngineError(message) from error


def _has_secret(connection: duckdb.DuckDBPyConnection, place: str) -> bool:
    """Whether DuckDB knows credentials for *place*, by CREATE PERSISTENT SECRET."""
    try:
        query = f"SELECT 1 FROM which_secret({text(place)}, 's3')"
        return bool(connection.execute(query).fetchall())
    except duckdb.Error as error:  # Such as a file of secrets that cannot be read.
        raise explained(place, error) from error


def _use_credentials(connection: duckdb.DuckDBPyConnection, place: str) -> None:
    """Use those that AWS's tools use; they are found anew when they have expired."""
    options = "TYPE s3, PROVIDER credential_chain, REFRESH auto"
    statement = f"CREATE TEMPORARY SECRET clew_s3 ({options}{_server()})"
    try:
        connection.execute(statement)
    except duckdb.Error as error:
        # DuckDB's own text is of its parts, and not of what is missing.
        message = f"{place}: there are no credentials of AWS: set {CREDENTIALS}"
        raise EngineError(message) from error


def _server() -> str:
    """Return options for the server and the region that AWS's tools are told to ask."""
    region = aws_profile.region()
    options = f", REGION {text(region)}" if region else ""
    if (given := aws_profile.endpoint()) is None:
        return options
    try:
        parts = urlsplit(given.value)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or "@" in parts.netloc:  # It may have a password, and is not shown.
        message = f"{given.place} is no URL of a server; write http://HOST:PORT"
        raise EngineError(message)
    address = f"{parts.netloc}{parts.path.rstrip('/')}"
    secure = "true" if parts.scheme == "https" else "false"
    return f"{options}, ENDPOINT {text(address)}, USE_SSL {secure}, URL_STYLE 'path'"
