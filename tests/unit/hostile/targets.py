"""What reads bytes of strangers, as functions of bytes: for the corpus, and for ``nox -s fuzz``.

A target returns nothing. It raises what is a defect, and keeps to itself the errors with which clew
says that something cannot be used.
"""

import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from clew.celery import _read as read_task_header
from clew.context.ids import usable_id
from clew.core import w3c_baggage
from clew.core.errors import ClewError
from clew.sessions.engines.location import file_for, is_url, shown, window_of
from clew.store.formats import read_spans
from clew.store.gunzip import gunzip
from clew.store.otlp import from_json, from_protobuf
from clew.store.otlp.size_check import check_json, check_protobuf
from clew.viewer.filters import Filters
from clew.web.sources import from_cookie, from_header

_LIMIT = 2**20


def otlp_json(data: bytes) -> None:
    """The body of a request with JSON."""
    with suppress(ClewError):
        check_json(data, len(data))
        from_json(data)


def otlp_protobuf(data: bytes) -> None:
    """The body of a request with protobuf."""
    with suppress(ClewError):
        check_protobuf(data, len(data))
        from_protobuf(data)


def gzip(data: bytes) -> None:
    """A compressed body."""
    with suppress(ClewError):
        assert len(gunzip(data, _LIMIT)) <= _LIMIT


def imported(data: bytes) -> None:
    """A file for `clew import`."""
    with tempfile.NamedTemporaryFile() as file, suppress(ClewError):
        file.write(data)
        file.flush()
        for record in read_spans(Path(file.name), str):
            assert record.trace_id


def headers(data: bytes) -> None:
    """The headers of a request that may name a session, and of a task's message."""
    for value in w3c_baggage.read([data], ("session.id",))["session.id"]:
        usable_id(value)
    request = {"type": "http", "headers": [(b"cookie", data), (b"x-session-id", data)]}
    usable_id(from_cookie("sid")(request))
    usable_id(from_header("x-session-id")(request))
    read_task_header(data.decode("utf-8", "replace"))


def address(data: bytes) -> None:
    """The URL of a store, and the query of a page."""
    text = data.decode("utf-8", "surrogateescape")
    shown(text)
    is_url(text)
    file_for(text, Path(), "db")
    with suppress(ClewError):
        window_of(text)
    name, _, value = text.partition("=")
    with suppress(ClewError):
        Filters.parse({name: value, "since": value}).for_store()


def expression(data: bytes) -> None:
    """An expression of a metric."""
    from clew.evaluations.metrics.expression import read

    with suppress(ClewError):
        read(data.decode("utf-8", "replace"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (address, expression, gzip, headers, imported, otlp_json, otlp_protobuf)
}


def main() -> None:
    """Search with atheris for what breaks one target: ``python -m … TARGET [libFuzzer's own]``."""
    import atheris

    name = sys.argv.pop(1)
    atheris.instrument_all()
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
