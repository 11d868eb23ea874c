"""Removes secrets from recordings.

Only the headers that replaying needs are kept. In URLs and bodies, whatever looks like a key, a
session token, or the id of an organisation or account is replaced.
"""

import re
from typing import Any

_KEPT = {"content-type", "x-recorded-from"}
_SECRETS = (
    (re.compile(r"\b(sk|pk|rk)-[\w-]{8,}"), r"\1-scrubbed"),
    (re.compile(r"\b(org|proj|user)[-_][A-Za-z0-9]{10,}"), r"\1-scrubbed"),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}"), r"\1SCRUBBED"),
    (re.compile(r"(?i)\bbearer +[\w.~+/=-]{8,}"), "Bearer scrubbed"),
    (re.compile(r"(?<![\w.-])\d{12}(?![\w.-])"), "000000000000"),  # An account, as in an ARN.
    (re.compile(r"(?<=%3A)\d{12}(?=%3A)", re.IGNORECASE), "000000000000"),  # The same in a path.
    (re.compile(r"(?<=://127\.0\.0\.1):\d+"), ""),
)


def request(recorded: Any) -> Any:
    """Scrub a request of vcrpy's."""
    recorded.uri = text(recorded.uri)
    recorded.headers = _headers(recorded.headers)
    recorded.body = _body(recorded.body)
    return recorded


def response(recorded: dict[str, Any]) -> dict[str, Any]:
    """Scrub a response, as vcrpy keeps it."""
    body = {"string": _body(recorded["body"]["string"])}
    return {**recorded, "headers": _headers(recorded["headers"]), "body": body}


def text(value: str) -> str:
    """Replace whatever looks like a secret."""
    for pattern, instead in _SECRETS:
        value = pattern.sub(instead, value)
    return value


def _headers(headers: dict[str, Any]) -> dict[str, Any]:
    return {name.lower(): it for name, it in headers.items() if name.lower() in _KEPT}


def _body(body: bytes | str | None) -> bytes | str | None:
    if not body:
        return body
    if isinstance(body, str):
        return text(body)
    try:
        return text(body.decode()).encode()
    except UnicodeDecodeError:
        return _unreadable(body)


def _unreadable(body: bytes) -> bytes:
    """Refuse binary data with secrets: it has checksums, so nothing in it can be replaced."""
    readable = body.decode("ascii", errors="replace")
    if text(readable) != readable:
        message = "a binary answer holds what looks like a secret; it cannot be recorded"
        raise ValueError(message)
    return body
