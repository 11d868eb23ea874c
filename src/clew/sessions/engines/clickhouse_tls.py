"""What went wrong with TLS on the way to a ClickHouse, and what to do, in words."""

import os
import re
from pathlib import Path

_REFUSED = re.compile(r"certificate verify failed: (.+?)\.? \(_ssl")
_OTHER_NAME = ("mismatch", "not valid for")
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")
_BROKEN_OFF = ("RemoteDisconnected", "Connection reset", "BadStatusLine", "ConnectionResetError")
_FILE = "SSL_CERT_FILE"


def explained(said: str) -> str | None:
    """Return what *said*, an error of the driver's, means; None if it is not about TLS."""
    if refused := _REFUSED.search(said):
        why = refused[1]
        if any(it in why for it in _OTHER_NAME):
            return (
                f"the server's certificate is for another name: {why}. Write a name that is in the "
                "certificate into the URL"
            )
        return f"the server's certificate is not trusted: {why}. {_trusted()}"
    if any(it in said for it in _NO_TLS):
        return (
            "the server does not speak TLS there. Leave secure=1 out, or write the port for HTTPS "
            "into the URL, which is 8443 unless somebody has changed it"
        )
    return None


def plain_hint(said: str) -> str:
    """Return what to try where a connection without TLS was broken off, as *said* tells."""
    if any(it in said for it in _BROKEN_OFF):
        return ". If the server speaks TLS there, add secure=1 to the URL"
    return ""


def _trusted() -> str:
    """Say which authorities are trusted, and how that is changed. OpenSSL reads the variable."""
    do = f"have {_FILE} name a file in PEM with the authority that has signed it"
    file = os.environ.get(_FILE)
    if not file:
        return f"Those that this machine trusts were tried: {do}"
    if not Path(file).is_file():
        return f"{file}, which {_FILE} names, is no file: {do}"
    return f"Those in {file} were tried, which {_FILE} names: {do}"
