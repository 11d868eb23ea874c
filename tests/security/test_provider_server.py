"""The watch over what providers are told is awake: it notices whatever is let through."""

import http.client

import pytest

from clew import using_session
from clew.context.api import carried
from tests.providers import ProviderServer, secrecy


def request(header):
    with ProviderServer() as server:
        connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]))
        connection.request("GET", "/v1/models", headers=dict([header]))
        connection.getresponse().read()
        connection.close()


@pytest.mark.parametrize(
    "header",
    [
        ("baggage", "a=b"),
        ("x-session-id", "chat-42"),
        ("x-anything", "before chat-42, after"),
        ("x-anything", "user%3Dada"),
        ("chat-42", "1"),
        ("x-anything", "a session of this very test"),
        ("x-anything", "a%20session%20of%20this%20very%20test"),
    ],
)
def test_it_notices(header):
    with using_session("a session of this very test"):
        carried()  # As a span does at its start.
    with pytest.raises(RuntimeError, match="told the provider an id"):
        request(header)
    assert len(secrecy.taken()) == 1


def test_it_is_quiet_otherwise():
    request(("x-city", "Canada, chat-421"))
    assert secrecy.taken() == []
