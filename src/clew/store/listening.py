"""Where a server listens: the addresses that a host has, and what to do where it cannot."""

import errno
import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

_SIX = 6
"""The version of IPv6."""


def addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    """Return the family and the address of each socket that *host* may mean, IPv4 first.

    It is a name or an address, of IPv6 with or without brackets; "" means all addresses.
    """
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    with suppress(ValueError):  # An address need not be looked up.
        family = socket.AF_INET6 if ip_address(host).version == _SIX else socket.AF_INET
        if "%" not in host:  # Of which network, the system knows.
            return [(family, (host, port))]
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except ValueError as error:  # It has a character, or a length, that no name has.
        raise socket.gaierror(socket.EAI_NONAME, "no name of a host") from error
    known = [(family, address) for family, _, _, _, address in found]
    return sorted(known, key=lambda it: it[0] == socket.AF_INET6)


def address_of(listening: socket.socket) -> IPv4Address | IPv6Address:
    """Return the address at which a socket is reached, however its host was written."""
    address = ip_address(listening.getsockname()[0])
    return getattr(address, "ipv4_mapped", None) or address


def cannot_listen(host: str, port: int, error: OSError) -> str:
    """Return a message: it cannot be listened there, and what to do."""
    reason = error.strerror or error
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return (
            f"cannot listen on {host}: {reason}; name an address of this machine with --host, "
            "such as 127.0.0.1 or ::1"
        )
    return f"cannot listen on {host}:{port}: {reason}; try --port"
