"""Reads the URL of a Spark Connect server, and of the spans that are asked for there.

sc://HOST[:PORT]/[;token=...]?table=NAME
sc://HOST[:PORT]/[;token=...]?path=FOLDER[&format=parquet|delta|iceberg]
"""

from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.location import check_options, shown

_PORT = 15002
_OPTIONS = {"format", "path", "since", "table", "until", "workers"}
_FORMATS = ("parquet", "delta", "iceberg")


class Address(NamedTuple):
    """Where the server is, and the spans."""

    label: str
    """As it may be printed, without the token."""
    remote: str
    """What Spark's client is given, with the token."""
    host: str
    port: int
    relation: str
    """What the spans are selected from, in Spark's SQL."""
    on_workers: bool
    """Whether the workers of the cluster make the summaries."""
    guessed: str | None
    """The path of which it is not said that its files are Parquet, and nothing else."""


def address_of(url: str) -> Address:
    """Return what *url* names."""
    remote, _, query = url.partition("?")
    try:
        parts = urlsplit(remote)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    label = shown(remote)
    if not host:
        message = f"{label} names no server; write sc://HOST:PORT/?table=NAME"
        raise EngineError(message)
    check_options(query, _OPTIONS)
    options = {name: values[-1] for name, values in parse_qs(query).items()}
    relation, place = _relation(label, options)
    return Address(
        label=f"{label.rstrip('/')}/?{place}",
        remote=remote,
        host=host,
        port=port or _PORT,
        relation=relation,
        on_workers=options.get("workers") != "no",
        guessed=None if "format" in options else options.get("path"),
    )


def _relation(label: str, options: dict[str, str]) -> tuple[str, str]:
    """Return what spans are selected from, and how that is shown."""
    table, path = options.get("table"), options.get("path")
    if table is not None and path is None:
        if "format" in options:
            message = f"{label}: format= belongs to path=; of a table the server knows it"
            raise EngineError(message)
        return ".".join(map(quoted, table.split("."))), f"table={table}"
    if path is None or table is not None:
        message = f"{label} needs the place of the spans: either ?table=NAME or ?path=FOLDER"
        raise EngineError(message)
    kind = options.get("format", "parquet")
    if kind not in _FORMATS:
        message = f"format={kind!r} is not known; there are {', '.join(_FORMATS)}"
        raise EngineError(message)
    place = f"path={shown(path)}"
    return f"{kind}.{quoted(path)}", place if kind == "parquet" else f"{place}&format={kind}"


def quoted(name: str) -> str:
    """Return a name as Spark's SQL writes it, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"
