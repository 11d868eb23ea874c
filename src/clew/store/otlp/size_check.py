"""Refuses requests that are small, but would take hundreds of times their size in memory.

An empty span takes two bytes in protobuf, and hundreds as an object. Bodies are therefore looked
through before they are parsed. For what exporters send, that takes far less time than parsing.
"""

from collections.abc import Iterator

from clew.store.otlp.limits import (
    MAX_SPANS,
    TOO_MANY_SPANS,
    MalformedError,
    TooLargeError,
)

_MAX_FIELDS = 1_000_000
_MAX_BRACKETS = 4_000_000
# Of a body that came compressed so many fields are read anyway, and more for each byte that came.
# Where spans repeat what was said before, a byte becomes two fields.
_FEW_FIELDS, _FIELDS_FOR_BYTE = 100_000, 4
_FEW_BRACKETS, _BRACKETS_FOR_BYTE = 1_000_000, 16
# And so many that lead to spans, or stand beside these: seven where each has a resource of its own.
_FEW_AROUND, _AROUND_SPAN = 20_000, 10
# What a smaller body can become is bearable without counting the fields of its spans.
_LARGE, _VERY_COMPRESSED = 4 * 2**20, 50
# The numbers of the fields that lead from a request to its spans, by way of resources and scopes.
_WAY_TO_SPANS = (1, 2, 2)
_WITH_LENGTH = 2
_MORE, _LONGEST_VARINT = 0x80, 10


def check_json(body: bytes, sent: int) -> None:
    """Raise TooLargeError if *body* has more objects and arrays than any exporter sends.

    It came in *sent* bytes, which are fewer if it was compressed.
    """
    # Brackets in texts are counted as well: the limit leaves room for them.
    most = _MAX_BRACKETS
    if sent < len(body):
        most = min(most, _FEW_BRACKETS + _BRACKETS_FOR_BYTE * sent)
    if body.count(b"{") + body.count(b"[") > most:
        message = "too many objects and arrays; export fewer spans at once"
        raise TooLargeError(message)


def check_protobuf(body: bytes, sent: int) -> None:
    """Raise TooLargeError if *body* has more spans, or fields in them, than any exporter sends.

    It came in *sent* bytes, which are fewer if it was compressed.
    """
    most = _MAX_FIELDS
    if sent < len(body):
        most = min(most, _FEW_FIELDS + _FIELDS_FOR_BYTE * sent)
    around, inside = _Fields(body, min(most, _FEW_AROUND)), _Fields(body, most)
    is_large = len(body) > min(_LARGE, _VERY_COMPRESSED * sent)
    try:
        for number, (start, end) in enumerate(_spans(around, 0, len(body), _WAY_TO_SPANS), 1):
            if number > MAX_SPANS:
                raise TooLargeError(TOO_MANY_SPANS)
            around.left += _AROUND_SPAN
            if is_large:
                for _ in inside.of(start, end):
                    pass
    except IndexError as error:
        message = "not an ExportTraceServiceRequest in protobuf: it ends too early"
        raise MalformedError(message) from error


def _spans(
    fields: "_Fields", start: int, end: int, way: tuple[int, ...]
) -> Iterator[tuple[int, int]]:
    """Yield where the messages are that are reached through the fields of *way*."""
    for tag, inner_start, inner_end in fields.of(start, end):
        if tag == way[0] << 3 | _WITH_LENGTH:
            if len(way) == 1:
                yield inner_start, inner_end
            else:
                yield from _spans(fields, inner_start, inner_end, way[1:])


class _Fields:
    """Finds the fields of messages, until there are too many in all."""

    def __init__(self, body: bytes, most: int) -> None:
        self._body = body
        self.left = most
        """How many more there may be."""

    def of(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the tag of each field of a message, and where its content is."""
        at = start
        while at < end:
            self.left -= 1
            if self.left < 0:
                message = "too many fields; export fewer spans at once"
                raise TooLargeError(message)
            tag, at = _varint(self._body, at)
            content = at
            match tag & 7:
                case 2:
                    length, content = _varint(self._body, at)
                    at = content + length
                case 0:
                    _, at = _varint(self._body, at)
                case 1:
                    at += 8
                case 5:
                    at += 4
                case _:
                    raise IndexError
            if at > end:
                raise IndexError
            yield tag, content, at


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for byte in body[at : at + _LONGEST_VARINT]:
        at += 1
        value |= (byte & ~_MORE) << shift
        if byte < _MORE:
            return value, at
        shift += 7
    raise IndexError
