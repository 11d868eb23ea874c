"""Parses and matches lists of hosts, as in ``CLEW_PROPAGATE_TO``.

An entry is a name with wildcards, an address, or a network, each with or without a port:

    api.mine.com  *.mine.com  orders-*  localhost:8080  10.1.0.0/16  [fd00::1]:8443  *

A leading ``*.`` stands for one label or more, any other ``*`` for characters within one label,
``?`` for one character, and ``*`` alone for every host. No other entry matches a name that somebody
else could register: the last label of a name cannot be a wildcard, and a network matches only
addresses.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
# Compiled when they are first needed, which in most processes is never.
_NAME = rf"{_LABEL}(\.{_LABEL})*\Z"
_ENTRY = r"[a-z0-9_*?-]+(\.[a-z0-9_*?-]+)*\Z"
_WITH_PORT = r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]{1,5}))?\Z"
_LONGEST_NAME = 253


@lru_cache(maxsize=1024)
def normalized_host(text: str) -> str | None:
    """Return a host in the form that is compared: in lower case, an address in its shortest form.

    None for names that are not ASCII, which have two encodings, so clients could call different
    hosts, and for whatever is neither a name nor an address.
    """
    text = text.lower()
    text = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if (address := _address(text)) is not None:
        return address.compressed
    text = text.removesuffix(".")
    return text if len(text) <= _LONGEST_NAME and re.match(_NAME, text) else None


def _address(text: str) -> "IPv4Address | IPv6Address | None":
    if not (":" in text or text[-1:].isdigit()):
        return None
    from ipaddress import ip_address  # Loaded only if it is needed

    try:
        return ip_address(text)
    except ValueError:
        return None


class HostPattern(NamedTuple):
    """One entry of a list of hosts."""

    text: str
    port: int | None = None
    network: Any = None
    names: "re.Pattern[str] | None" = None

    def matches(self, host: str, port: int | None) -> bool:
        """Whether a `normalized_host` matches; an unknown port matches no given one."""
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            address = _address(host)
            return address is not None and address in self.network
        return self.names is None or self.names.match(host) is not None


def host_patterns(text: str) -> tuple[HostPattern, ...]:
    """Parse a comma-separated list; raise ``ValueError`` with what is wrong with an entry."""
    entries = [entry.strip().lower() for entry in text.split(",")]
    return tuple(_pattern(entry) for entry in entries if entry)


def _pattern(entry: str) -> HostPattern:
    if "://" in entry:
        message = f"{entry!r} is a URL; give the host alone, as in api.mine.com"
        raise ValueError(message)
    if "/" in entry or (entry.count(":") > 1 and not entry.startswith("[")):
        return HostPattern(entry, network=_network(entry, entry))
    match = re.match(_WITH_PORT, entry)
    host = match["host"] if match else ""
    port = int(match["port"]) if match and match["port"] else None
    if host.startswith("[") or _address(host) is not None:
        return HostPattern(entry, port, network=_network(host.strip("[]"), entry))
    if host == "*":
        return HostPattern(entry, port)
    host = host.removesuffix(".")
    if not re.match(_ENTRY, host):
        message = (
            f"{entry!r} is no host; give a name with or without wildcards (*.mine.com), an address "
            "or a network (10.1.0.0/16), with or without a port; one that is not ASCII in punycode"
        )
        raise ValueError(message)
    labels = host.split(".")
    if len(labels) > 1 and {"*", "?"} & set(labels[-1]):
        message = (
            f"{entry!r} would match names that anybody can register; write out the last part, or "
            "for addresses a network, as in 10.1.0.0/16"
        )
        raise ValueError(message)
    return HostPattern(entry, port, names=_expression(labels))


def _network(text: str, entry: str) -> Any:
    from ipaddress import ip_network

    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        message = f"{entry!r} is no network: {error}"
        raise ValueError(message) from None


def _expression(labels: list[str]) -> "re.Pattern[str]":
    subdomains = ""
    if len(labels) > 1 and labels[0] == "*":
        subdomains, labels = r"([^.]+\.)+", labels[1:]
    name = r"\.".join(
        re.escape(label).replace(r"\*", "[^.]*").replace(r"\?", "[^.]") for label in labels
    )
    return re.compile(rf"{subdomains}{name}\Z")
