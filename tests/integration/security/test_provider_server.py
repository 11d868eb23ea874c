"""The check that providers get no ids fails when they get one."""

import http.client

import pytest

from clew import using_session
from clew.context.lookup import find_attributes
from tests.support.providers import ProviderServer, secrecy


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
def test_an_id_in_a_header_is_detected(header):
    with using_session("a session of this very test"):
        find_attributes()  # As a span does at its start.
    with pytest.raises(RuntimeError, match="told the provider an id"):
        request(header)
    assert len(secrecy.taken()) == 1


def test_other_headers_pass():
    request(("x-city", "Canada, chat-421"))
    assert secrecy.taken() == []
