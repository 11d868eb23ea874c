"""The forms that pages contain."""

import re
from html import unescape

SESSION = "/session?id=chat-42"


def token(html):
    return re.search(r'name="form_token" value="([^"]+)"', html)[1]


def actions(html):
    """Return where the forms of each rating are sent, the session's own first."""
    found = re.findall(r'action="(/evaluations[^"]*)"', html)
    return list(dict.fromkeys(map(unescape, found)))
