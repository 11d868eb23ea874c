"""Sources: where to find an id in a request, which is an ASGI scope or a WSGI environ.

A source returns what it found, unchecked: one text, or bytes that are no UTF-8, or the list of
several values, and `external_id` drops and counts what cannot be used.
Nothing here raises because of what a client sent, and everything takes time linear in its size.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clew.context.ids import SESSION_ID, USER_ID, usable_id
from clew.context.pseudonyms import Pseudonym
from clew.core import w3c_baggage
from clew.core.errors import ConfigurationError

Request = Mapping[str, Any]
"""An ASGI scope or a WSGI environ."""

MAX_COOKIES = 65_536
"""How many characters of cookies are read; servers allow a fraction of that by default."""

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
"""The characters of a header's name (RFC 9110), in lower case."""

_ESCAPE = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
"""A character of a quoted cookie that is escaped, by a backslash or as an octal number."""


def from_header(name: str) -> "Header":
    """Read the id from a request header.

    A header that came more than once is dropped: which value counts would be a guess. WSGI servers
    join the values of such a header with commas, so an id with a comma in it is dropped as well.

    >>> from_header("x-session-id")({"type": "http", "headers": [(b"x-session-id", b"chat-42")]})
    'chat-42'
    """
    return Header(header_name(name))


def from_cookie(name: str) -> "Cookie":
    """Read the id from a cookie. A cookie that is sent with two different values is dropped.

    >>> from_cookie("sid")({"type": "http", "headers": [(b"cookie", b"a=b; sid=chat-42")]})
    'chat-42'
    """
    if not _is_token(name):
        message = f"{name!r} cannot be the name of a cookie"
        raise ConfigurationError(message)
    return Cookie(name)


def from_baggage(key: str | None = None) -> "Baggage":
    """Read the id from the W3C ``baggage`` header: ``session.id`` or ``user.id``, or *key*.

    A ``user.id`` that clew has sent as a pseudonym stays the same one.

    >>> from_baggage()({"type": "http", "headers": [(b"baggage", b"session.id=chat%2042")]})
    'chat 42'
    """
    return Baggage(key)


def header_name(name: str) -> str:
    """Return *name* in lower case, or raise an error if it cannot be the name of a header."""
    if not _is_token(name):
        message = f"{name!r} cannot be the name of a header"
        raise ConfigurationError(message)
    return name.lower()


def _is_token(name: object) -> bool:
    return isinstance(name, str) and bool(name) and set(name.lower()) <= _TOKEN


@dataclass(frozen=True, slots=True)
class Header:
    """The source that `from_header` returns."""

    name: str

    def __call__(self, request: Request) -> object:
        """Return what *request* has as the id, usable or not."""
        values = _values(request, self.name)
        if not values:
            return None
        text = w3c_baggage.decode(values[0])
        if len(values) > 1 or (isinstance(text, str) and "," in text):
            return values
        return text


@dataclass(frozen=True, slots=True)
class Cookie:
    """The source that `from_cookie` returns."""

    name: str

    def __call__(self, request: Request) -> object:
        """Return what *request* has as the id, usable or not."""
        found: list[str | bytes] = []
        left = MAX_COOKIES
        for value in _values(request, "cookie"):  # HTTP/2 sends one header for each cookie.
            if (left := left - len(value)) < 0:
                return value
            for cookie in value.split(b";"):
                name, _, content = cookie.partition(b"=")
                if name.strip() == self.name.encode():
                    found.append(_cookie_text(content.strip()))
        return w3c_baggage.single_value(found)


def _cookie_text(content: bytes) -> str | bytes:
    """Return the text of a cookie as the frameworks read it.

    They write what is more than letters and digits in quotes, with escapes: Werkzeug of the bytes
    of UTF-8, Python's ``http.cookies``, and so Starlette and Django, of those of latin-1.
    """
    if content == b'"' or not content[:1] == content[-1:] == b'"':
        return w3c_baggage.decode(content)
    plain, escapes = _ESCAPE.subn(_unescaped, content[1:-1])
    text = w3c_baggage.decode(plain)
    return plain.decode("latin-1") if escapes and isinstance(text, bytes) else text


def _unescaped(escape: re.Match[bytes]) -> bytes:
    escaped = escape[1]
    return escaped if len(escaped) == 1 else bytes([int(escaped, 8)])


@dataclass(frozen=True, slots=True)
class Baggage:
    """The source that `from_baggage` returns."""

    key: str | None = None

    def __call__(self, request: Request) -> object:
        """Return what *request* has as the id, usable or not."""
        key = self.key or SESSION_ID
        keys = (key, w3c_baggage.PSEUDONYM)
        read = w3c_baggage.read(_values(request, w3c_baggage.HEADER), keys)
        found = w3c_baggage.single_value(read[key])
        if key == USER_ID and USER_ID in read[w3c_baggage.PSEUDONYM]:
            usable = usable_id(found)
            return found if usable is None else Pseudonym(usable)
        return found


def _values(request: Request, name: str) -> list[bytes]:
    """Return the values of a header, as the client sent them."""
    if "REQUEST_METHOD" in request:  # Every WSGI environ has it, no ASGI scope does.
        value = request.get("HTTP_" + name.upper().replace("-", "_"))
        return [] if value is None else [_latin1_bytes(value)]
    wanted = name.encode()
    headers = request.get("headers") or ()
    return [bytes(value) for key, value in headers if key == wanted or key.lower() == wanted]


def _latin1_bytes(value: str) -> bytes:
    """Return the bytes that a WSGI server has decoded as latin-1, as PEP 3333 demands."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:  # Another middleware has decoded it otherwise.
        return value.encode("utf-8", "surrogatepass")
