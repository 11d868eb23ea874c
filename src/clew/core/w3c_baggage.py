"""Reads and writes the W3C ``baggage`` header and its members.

Reading never raises over what a client sent, and takes time linear in its size, of which at most
`MAX_BYTES` are read.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote_to_bytes

HEADER = "baggage"
PSEUDONYM = "clew.pseudonym"
"""The key of the member that names another member whose value is a pseudonym already."""
MAX_BYTES = 8_192
"""The size that W3C Baggage requires everybody to pass on. clew reads and writes no more."""

# Not percent-encoded in a value, besides letters, digits and "_.-~". Fewer characters than the
# standard allows, because some readers take a plus for a space, or split at each equals sign.
_SAFE = "!$&'()*/:@"


def key_of(member: str) -> str:
    """Return the key of one member."""
    return member.partition(";")[0].partition("=")[0].strip(" \t")


def members_of(header: str) -> list[str]:
    """Return the members of a header, without the space around them."""
    return [member for part in header.split(",") if (member := part.strip(" \t"))]


def join(*headers: str) -> str:
    """Return one header with the members of all *headers*."""
    return ",".join(header for header in headers if header)


def encode_member(key: str, value: str) -> str:
    """Return a member with this *key* and the *value*, percent-encoded."""
    return f"{key}={quote(value, safe=_SAFE)}"


def read(values: Iterable[bytes], keys: Iterable[str]) -> Mapping[str, list[str | bytes]]:
    """Return the values of each of *keys* in the header, which may have come in several pieces.

    A value that is not UTF-8 is returned as bytes. If the header is too long, it is itself returned
    as the value of each key. Neither can be an id.
    """
    result: dict[str, list[str | bytes]] = {key: [] for key in keys}
    wanted = {key.encode(): key for key in result}
    bytes_left = MAX_BYTES
    for value in values:
        if (bytes_left := bytes_left - len(value)) < 0:
            return {key: [value] for key in result}
        for part in value.split(b","):
            name, _, content = part.partition(b";")[0].partition(b"=")
            key = wanted.get(name.strip())
            if key is not None:
                # Decoded once: what is percent-encoded twice was meant to stay encoded.
                result[key].append(decode(unquote_to_bytes(content.strip())))
    return result


def decode(value: bytes) -> str | bytes:
    """Return *value* as text if it is UTF-8 (ASCII is too), otherwise unchanged."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def single_value(values: list[str | bytes]) -> object:
    """Return the value if all *values* are equal, all of them if not, None if there are none."""
    if not values:
        return None
    return values[0] if all(value == values[0] for value in values) else values
