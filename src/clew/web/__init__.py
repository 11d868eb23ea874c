"""The session and the user of web requests, for every ASGI and WSGI framework.

    from clew.web import from_header
    from clew.web.asgi import SessionMiddleware

    app.add_middleware(SessionMiddleware, session=from_header("x-session-id"))

No web framework is imported here: the middlewares need only the protocols.
"""

from clew.web.sources import from_baggage as from_baggage
from clew.web.sources import from_cookie as from_cookie
from clew.web.sources import from_header as from_header

__all__ = ["from_baggage", "from_cookie", "from_header"]
