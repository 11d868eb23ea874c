"""`url`: the address of a session on the page of ``clew view``, for log lines and exceptions."""

from urllib.parse import quote

from clew.context.api import current
from clew.core.containment import contain
from clew.core.settings import VIEW_URL


def url(session_id: str | None = None) -> str:
    """Return the address at which ``clew view`` shows a session; the current one if none is named.

    It is for log lines and messages of exceptions, so it never raises an error: outside of every
    session it is empty. It begins with ``CLEW_VIEW_URL``. Whether a page is served there, and the
    session is stored, is not looked up.

    >>> url("chat-42")
    'http://127.0.0.1:4319/session?id=chat-42'
    """
    try:
        wanted = current().session_id if session_id is None else str(session_id)
        if not wanted:
            return ""
        return f"{VIEW_URL.read()}/session?id={quote(wanted, safe='', errors='replace')}"
    except Exception:
        contain("making the address of a session")
        return ""
