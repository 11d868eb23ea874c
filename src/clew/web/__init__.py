"""Requests: which session and user one belongs to, for every ASGI and WSGI framework.

    from clew.web import from_header
    from clew.web.asgi import SessionMiddleware

    app.add_middleware(SessionMiddleware, session=from_header("x-session-id"))

Pure protocol: no web framework is imported here.
"""

from clew.web.sources import from_baggage as from_baggage
from clew.web.sources import from_cookie as from_cookie
from clew.web.sources import from_header as from_header

__all__ = ["from_baggage", "from_cookie", "from_header"]
