"""The URLs of OTLP endpoints."""

from urllib.parse import urlsplit, urlunsplit

_PATH = "/v1/traces"


def is_url(text: str) -> bool:
    """Whether *text* is the URL of something that speaks HTTP."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # A port out of range, an incomplete IPv6 address.
        return False


def traces_url(endpoint: str) -> str:
    """Return the URL for traces of an *endpoint*, given as OTEL_EXPORTER_OTLP_ENDPOINT is."""
    parts = urlsplit(endpoint)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith(_PATH) else path + _PATH))


def without_password(url: str) -> str:
    """Return *url* as it can be shown and kept."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
