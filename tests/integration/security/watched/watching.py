"""Notes in a file to whom this process, or one that it starts, wants to talk; refuses strangers."""

import os
import socket
import sys
from ipaddress import ip_address

_FILE = os.environ["TALKED_TO"]
# Where in the arguments of each event the address is.
_EVENTS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}


def _note(event, arguments):
    if event not in _EVENTS:
        return
    address = arguments[_EVENTS[event]]
    if event.startswith("socket.get"):
        address = (address, arguments[1] if event == "socket.getaddrinfo" else 0)
    if address is None or (hasattr(arguments[0], "family") and _is_local(arguments[0])):
        return
    host, port = (
        it.decode() if isinstance(it, bytes) else it for it in (address[0] or "", address[1] or 0)
    )
    with open(_FILE, "a") as file:
        file.write(f"{event} {host} {port}\n")
    if host and host != "localhost" and not _is_loopback(host):
        message = f"the network was asked for {host}"
        raise OSError(message)


def _is_local(connection):
    return connection.family not in {socket.AF_INET, socket.AF_INET6}


def _is_loopback(host):
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


sys.addaudithook(_note)
