"""Lets the OTLP/HTTP exporter look for proxies in the environment once a minute.

The package requests reads the whole environment for each request, which takes longer than the rest
of a small export. What it finds there, proxies and certificates, is used for a minute.
"""

from collections.abc import Mapping
from time import monotonic
from typing import Any

from clew.core.otel_private import http_session

_SECONDS = 60.0
_METHOD = "merge_environment_settings"


def remember_environment(exporter: object) -> None:
    """Let *exporter*, if it sends with requests, keep for a minute what the environment says."""
    session = http_session(exporter)
    # A subclass may look elsewhere, and differently for each request.
    if f"{type(session).__module__}.{type(session).__name__}" == "requests.sessions.Session":
        vars(session)[_METHOD] = _Remembered(getattr(session, _METHOD))


class _Remembered:
    """The session's method, whose latest result is returned again for the same arguments."""

    def __init__(self, method: Any) -> None:
        self._method = method
        self._asked: tuple[Any, ...] = ()
        self._found: Mapping[str, Any] = {}
        self._until = 0.0

    def __call__(self, url: str, proxies: Any, *options: Any) -> dict[str, Any]:
        asked = (url, dict(proxies or {}), *options)  # A copy, as the method adds to it.
        if monotonic() >= self._until or asked != self._asked:
            self._found = self._method(url, proxies, *options)
            self._asked, self._until = asked, monotonic() + _SECONDS
        return dict(self._found)
