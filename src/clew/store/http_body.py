"""Reads the body of an HTTP request: within a time, a size, and the memory there is for all."""

import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from email.message import Message
from http import HTTPStatus
from io import BufferedIOBase, RawIOBase
from threading import Lock

_PIECE = 2**16
_CHUNK_LINE = 1024
_MAX_TRAILERS = 100
_MOST_DIGITS = 15
_BODIES_AT_ONCE = 4
"""So many of the largest ones; of smaller ones more."""
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{1,15}")


class BodyError(Exception):
    """A body that cannot be used, with the status that says so."""

    def __init__(self, status: HTTPStatus, message: str = "") -> None:
        super().__init__(message)
        self.status = status


class TimedInput(RawIOBase):
    """Reads a socket until a moment, however slowly bytes come."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._until = time.monotonic()

    def allow(self, seconds: float) -> None:
        """From now on, everything has to come within *seconds*."""
        self._until = time.monotonic() + seconds

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Read what there is into *buffer*."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class Memory:
    """How many bytes of bodies may be kept at the same time, in one request and in all."""

    def __init__(self, in_one: int) -> None:
        self.in_one = in_one
        self._left = _BODIES_AT_ONCE * in_one
        self._lock = Lock()

    def take(self, size: int) -> bool:
        """Take *size* bytes, if so many are left."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        """Give *size* bytes back."""
        with self._lock:
            self._left += size


class Taken:
    """The memory that one request has taken."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._size = 0

    def counted(self, piece: bytes) -> bytes:
        """Return *piece*, for which there is memory."""
        if self._size + len(piece) > self._memory.in_one:
            raise BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if not self._memory.take(len(piece)):
            message = "too many large requests at once"
            raise BodyError(HTTPStatus.SERVICE_UNAVAILABLE, message)
        self._size += len(piece)
        return piece

    def give_back(self) -> None:
        """Give it back."""
        self._memory.give_back(self._size)


def has_body(headers: "Message[str, str]") -> bool:
    """Whether *headers* announce a body."""
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip() != "0"


@contextmanager
def read_body(
    stream: BufferedIOBase,
    headers: "Message[str, str]",
    memory: Memory,
    proceed: Callable[[], None],
) -> Iterator[bytes]:
    """Read a request's body, after *proceed* was called; raise BodyError if it cannot be used."""
    lengths, codings = headers.get_all("content-length", []), headers.get_all("transfer-encoding")
    length = announced_length(lengths, codings or [], memory.in_one)
    proceed()
    taken = Taken(memory)
    pieces = _chunks(stream) if length is None else _counted(stream, length)
    try:
        yield _joined(map(taken.counted, pieces))
    finally:
        taken.give_back()


def _joined(pieces: Iterable[bytes]) -> bytes:
    body = bytearray()  # A list of tiny pieces would take many times their size.
    try:
        for piece in pieces:
            body += piece
    except TimeoutError as error:
        raise too_late() from error
    return bytes(body)


def announced_length(lengths: Sequence[str], codings: Sequence[str], most: int) -> int | None:
    """Return the length of the body, or None if it comes in chunks; raise BodyError for others.

    It is what the headers Content-Length and Transfer-Encoding say, each of which may be repeated.
    """
    if codings:
        if lengths or [it.strip().lower() for it in codings] != ["chunked"]:
            message = "the Transfer-Encoding has to be chunked, without a Content-Length"
            raise BodyError(HTTPStatus.BAD_REQUEST, message)
        return None
    if not lengths:
        message = "a Content-Length is needed, or the Transfer-Encoding chunked"
        raise BodyError(HTTPStatus.LENGTH_REQUIRED, message)
    length = lengths[0].strip()
    if len(lengths) > 1 or not (
        length.isascii() and length.isdigit() and len(length) <= _MOST_DIGITS
    ):
        message = "the Content-Length is no number of bytes"
        raise BodyError(HTTPStatus.BAD_REQUEST, message)
    if int(length) > most:
        raise BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(length)


def _counted(stream: BufferedIOBase, length: int) -> Iterator[bytes]:
    while length > 0:
        piece = stream.read(min(length, _PIECE))
        if not piece:
            raise too_short()
        length -= len(piece)
        yield piece


def _chunks(stream: BufferedIOBase) -> Iterator[bytes]:
    while True:
        size = _HEXADECIMAL.fullmatch(_line(stream).partition(b";")[0].strip())
        if size is None:
            message = "a chunk does not begin with its size"
            raise BodyError(HTTPStatus.BAD_REQUEST, message)
        if not (length := int(size[0], 16)):
            break
        yield from _counted(stream, length)
        if _line(stream):
            message = "a chunk is longer than its size"
            raise BodyError(HTTPStatus.BAD_REQUEST, message)
    for _ in range(_MAX_TRAILERS):
        if not _line(stream):
            return
    message = "there are too many trailers"
    raise BodyError(HTTPStatus.BAD_REQUEST, message)


def _line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(_CHUNK_LINE)
    if not line.endswith(b"\n"):
        if len(line) == _CHUNK_LINE:
            message = "a line between chunks is too long"
            raise BodyError(HTTPStatus.BAD_REQUEST, message)
        raise too_short()
    return line.rstrip(b"\r\n")


def too_late() -> BodyError:
    """Return the error for a body that did not come in time."""
    return BodyError(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time")


def too_short() -> BodyError:
    """Return the error for a body that did not come as a whole."""
    return BodyError(HTTPStatus.BAD_REQUEST, "the connection ended before the body did")
