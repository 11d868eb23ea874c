"""The W3C ``baggage`` header: its members, read and written.

Reading never raises because of what a client sent, and takes time linear in its size, of which no
more than `MAX_BYTES` is looked at.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote_to_bytes

HEADER = "baggage"
MAX_BYTES = 8_192
"""What W3C Baggage asks everybody to pass on. Nobody has to read more, and more is not written."""

# What a value holds as it is, besides letters, digits and "_.-~": fewer characters than the
# standard allows, because some readers take a plus for a space, or split at each equals sign.
_PLAIN = "!$&'()*/:@"


def key_of(member: str) -> str:
    """Return the key of one member."""
    return member.partition(";")[0].partition("=")[0].strip(" \t")


def members_of(header: str) -> list[str]:
    """Return the members of a header, without the space around them."""
    return [member for part in header.split(",") if (member := part.strip(" \t"))]


def joined(*headers: str) -> str:
    """Return one header that says what all of *headers* say."""
    return ",".join(header for header in headers if header)


def member(key: str, value: str) -> str:
    """Return a member that says *value*, percent-encoded."""
    return f"{key}={quote(value, safe=_PLAIN)}"


def read(values: Iterable[bytes], keys: Iterable[str]) -> Mapping[str, list[str | bytes]]:
    """Return what the header, which may have come in several pieces, says of each of *keys*.

    What is no UTF-8 comes back as it is, in bytes, and a header that is too long as a value of each
    key: neither can be an id.
    """
    found: dict[str, list[str | bytes]] = {key: [] for key in keys}
    wanted = {key.encode(): key for key in found}
    left = MAX_BYTES
    for value in values:
        if (left := left - len(value)) < 0:
            return {key: [value] for key in found}
        for part in value.split(b","):
            name, _, content = part.partition(b";")[0].partition(b"=")
            key = wanted.get(name.strip())
            if key is not None:
                # Decoded once: what is percent-encoded twice was meant to stay encoded.
                found[key].append(text_of(unquote_to_bytes(content.strip())))
    return found


def text_of(value: bytes) -> str | bytes:
    """Return *value* as text if it is UTF-8, of which ASCII is a part; else as it is."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def only(found: list[str | bytes]) -> object:
    """Return what was found, if it is one thing; all of it, if they disagree."""
    if not found:
        return None
    return found[0] if all(each == found[0] for each in found) else found
