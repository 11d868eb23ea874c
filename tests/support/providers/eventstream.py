"""Encoder of the AWS binary event-stream format (``application/vnd.amazon.eventstream``).

A message is a prelude (total length, header length, CRC32 of both), typed headers, the payload,
and a CRC32 of all that came before. SDKs only ship the decoder, hence this other half.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"

HeaderValue = bool | int | bytes | str

_PRELUDE = struct.Struct("!III")
_CHECKSUM = struct.Struct("!I")


def encode_header(name: str, value: HeaderValue) -> bytes:
    """One header: name length and name, a type byte, and the value in that type's form."""
    label = name.encode()
    if isinstance(value, bool):
        typed = b"\x00" if value else b"\x01"
    elif isinstance(value, int):
        typed = b"\x04" + struct.pack("!i", value)
    elif isinstance(value, bytes):
        typed = b"\x06" + struct.pack("!H", len(value)) + value
    else:
        text = value.encode()
        typed = b"\x07" + struct.pack("!H", len(text)) + text
    return bytes([len(label)]) + label + typed


def encode_message(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """A whole message with both checksums."""
    block = b"".join(encode_header(name, value) for name, value in headers.items())
    total = _PRELUDE.size + len(block) + len(payload) + _CHECKSUM.size
    lengths = struct.pack("!II", total, len(block))
    message = lengths + _CHECKSUM.pack(crc32(lengths)) + block + payload
    return message + _CHECKSUM.pack(crc32(message))


def encode_event(kind: str, payload: Any) -> bytes:
    """An event of the given type with a JSON payload."""
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return encode_message(headers, json.dumps(payload, separators=(",", ":")).encode())


def encode_exception(kind: str, message: str) -> bytes:
    """An exception sent inside a stream: what AWS does when a call fails after its 200."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return encode_message(headers, json.dumps({"message": message}).encode())
