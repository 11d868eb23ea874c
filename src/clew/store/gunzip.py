"""Decompresses gzip up to a limit, whatever the compressed data would become."""

import zlib

from clew.store.otlp.limits import MalformedError, TooLargeError

_GZIP = zlib.MAX_WBITS | 16
# What follows a member is copied: with large pieces, many tiny members would take long.
_PIECE = 2**14


def gunzip(data: bytes, limit: int) -> bytes:
    """Return *data* decompressed; raise TooLargeError once that is more than *limit* bytes."""
    pieces, size = [], 0
    inflater = zlib.decompressobj(_GZIP)
    try:
        for start in range(0, len(data), _PIECE):
            rest = data[start : start + _PIECE]
            while rest:
                if inflater.eof:
                    inflater = zlib.decompressobj(_GZIP)
                piece = inflater.decompress(rest, limit - size + 1)
                size += len(piece)
                if size > limit:
                    message = f"more than {limit} bytes; export fewer spans at once"
                    raise TooLargeError(message)
                pieces.append(piece)
                rest = inflater.unused_data
    except zlib.error as error:
        message = f"not gzip: {error}"
        raise MalformedError(message) from error
    if not inflater.eof:
        message = "its gzip data ends too early"
        raise MalformedError(message)
    return b"".join(pieces)
