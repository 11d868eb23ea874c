"""Lets the OTLP/HTTP exporter look for proxies in the environment once a minute.

The package requests reads the whole environment for each request, which takes longer than the rest
of a small export. What it finds there, proxies and certificates, is used for a minute.
"""

from collections.abc import Mapping
from time import monotonic
from typing import Any, NamedTuple

from clew.core.otel_private import http_session

_SECONDS = 60.0
_METHOD = "merge_environment_settings"


def remember_environment(exporter: object) -> None:
    """Let *exporter*, if it sends with requests, keep for a minute what the environment says."""
    session = http_session(exporter)
    # A subclass may look elsewhere, and differently for each request.
    if f"{type(session).__module__}.{type(session).__name__}" == "requests.sessions.Session":
        vars(session)[_METHOD] = _Remembered(session)


class _Latest(NamedTuple):
    """What the session was asked and what it found; one object, as threads may share a session."""

    asked: tuple[Any, ...]
    found: Mapping[str, Any]
    until: float


class _Remembered:
    """The session's method, whose latest result is returned again if nothing else is asked.

    What the session itself is set to is part of the question. Its result is used again after
    ``uninstrument_all()``, too, for a minute at most each time.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._method = getattr(session, _METHOD)
        self._latest = _Latest((), {}, 0.0)

    def __call__(  # The names are those of requests, which may be given.
        self, url: str, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> dict[str, Any]:
        of_session = self._session
        asked = (
            *(url, dict(proxies or {}), stream, verify, cert),  # Copies, as both may be changed.
            *(of_session.trust_env, dict(of_session.proxies or {}), of_session.stream),
            *(of_session.verify, of_session.cert),
        )
        latest = self._latest
        if monotonic() >= latest.until or asked != latest.asked:
            found = self._method(url, proxies, stream, verify, cert)
            latest = self._latest = _Latest(asked, found, monotonic() + _SECONDS)
        return dict(latest.found)
