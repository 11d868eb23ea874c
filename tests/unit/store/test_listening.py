"""Which addresses a host has, and which of them are this machine's own."""

import socket

import pytest

from clew.store.listening import address_of, addresses


class Socket:
    """A socket that listens at an address."""

    def __init__(self, address):
        self._address = address

    def getsockname(self):
        return (self._address, 4319)


@pytest.mark.parametrize(
    ("address", "is_own"),
    [
        ("127.0.1.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        (".".join("0000"), False),
        ("::", False),
        ("::ffff:10.0.0.1", False),
        ("192.168.1.5", False),
        ("fe80::1%eth0", False),
        ("::127.0.0.1", False),
    ],
)
def test_an_address_is_this_machine_s_own(address, is_own):
    assert address_of(Socket(address)).is_loopback is is_own


def test_a_name_may_have_an_address_of_ipv6_only(monkeypatch):
    answer = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 4319, 0, 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [answer])
    assert addresses("six.example", 4319) == [(socket.AF_INET6, ("::1", 4319, 0, 0))]


def test_ipv4_comes_first(monkeypatch):
    answers = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 4319, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 4319)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    assert [family for family, _ in addresses("localhost", 4319)] == [
        socket.AF_INET,
        socket.AF_INET6,
    ]


def test_an_address_is_not_looked_up(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert addresses("127.0.0.1", 4319) == [(socket.AF_INET, ("127.0.0.1", 4319))]
    assert addresses("[::1]", 4319) == [(socket.AF_INET6, ("::1", 4319))]
