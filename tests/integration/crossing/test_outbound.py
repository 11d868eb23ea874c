"""Which hosts receive the ids, from each of the clients, as a real server sees it."""

from importlib import import_module

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, use_span

from clew import isolated, using_session, using_user
from clew.propagation import http
from clew.propagation.http import ClewPropagator
from tests.integration.crossing.clients import CLIENTS, FOLLOW_REDIRECTS

each_client = pytest.mark.parametrize("client", CLIENTS, indirect=True)
each_redirecting_client = pytest.mark.parametrize("client", FOLLOW_REDIRECTS, indirect=True)
IDS = "session.id=chat-42,user.id=ada"


@each_client
def test_a_listed_host_receives_the_ids(client, listener, propagate_to):
    propagate_to("other.example, *.mine.example")
    with using_session("chat-42", user_id="ada"):
        client(listener.url())
    assert listener.received() == [("api.mine.example", IDS)]


@each_client
def test_no_host_receives_them_by_default(client, listener):
    with using_session("chat-42", user_id="ada"):
        client(listener.url())
    assert listener.received() == [("api.mine.example", None)]


@each_client
@pytest.mark.parametrize(
    "other_host",
    ["mine.example", "api.mine.example.evil.org", "evilmine.example", "api-mine.example"],
)
def test_other_hosts_do_not_receive_them(client, listener, propagate_to, other_host):
    propagate_to("*.mine.example")
    with using_session("chat-42", user_id="ada"):
        client(listener.url(other_host))
    assert listener.received() == [(other_host, None)]


@each_client
@pytest.mark.parametrize("host", ["api.openai.com", "bedrock-runtime.eu-west-1.amazonaws.com"])
def test_a_model_provider_never_receives_them(client, listener, propagate_to, host):
    propagate_to(f"*, {host}")
    theirs = attach(baggage.set_baggage("user.id", "ada"))
    with using_session("chat-42", user_id="ada"):
        client(listener.url(host), {"baggage": "session.id=chat-42,a=b"})
    detach(theirs)
    # OpenTelemetry's propagator, where it is on, has overwritten the application's header.
    assert listener.received() in ([(host, "a=b")], [(host, None)])


@each_client
def test_an_existing_header_is_kept(client, listener, propagate_to):
    propagate_to("api.mine.example")
    with using_session("chat-42", user_id="ada"):
        client(listener.url(), {"Baggage": "tenant=blue;p=1,user.id=someone"})
    assert listener.last.baggage == "tenant=blue;p=1,user.id=someone,session.id=chat-42"


@each_redirecting_client
def test_an_id_in_opentelemetrys_baggage_goes_to_listed_hosts_only(client, listener, propagate_to):
    propagate_to("api.mine.example")
    theirs = attach(baggage.set_baggage("session.id", "theirs"))
    with using_session("chat-42", user_id="ada"):
        client(listener.url())
        client(listener.url("stranger.example"))
        assert baggage.get_all() == {"session.id": "theirs"}
    detach(theirs)
    assert listener.received() == [
        ("api.mine.example", "session.id=theirs,user.id=ada"),
        ("stranger.example", None),
    ]


@each_client
def test_a_pseudonym_is_marked_as_one(client, listener, propagate_to, user_id_key):
    propagate_to("api.mine.example")
    with using_user("ada"):
        client(listener.url())
    header = listener.last.baggage
    assert "ada" not in header
    assert header.startswith("user.id=")
    assert header.endswith(",clew.pseudonym=user.id")


@each_client
def test_without_an_id_no_header_is_sent(client, listener, propagate_to):
    propagate_to("*")
    client(listener.url())
    with using_session("chat-42"), isolated():
        client(listener.url())
    assert {header for _, header in listener.received()} == {None}


@each_redirecting_client
@pytest.mark.parametrize("other_host", ["evil.org", "api.openai.com"])
def test_a_redirect_to_another_host_sends_no_ids(client, listener, propagate_to, other_host):
    propagate_to("*.mine.example")
    url = listener.url(path=f"/?to={listener.url(other_host, '/2')}")
    with using_session("chat-42", user_id="ada"):
        client(url, {"baggage": "tenant=blue"})
    assert listener.received() == [
        ("api.mine.example", f"tenant=blue,{IDS}"),
        (other_host, "tenant=blue"),
    ]


@each_redirecting_client
def test_a_redirect_sends_no_ids_after_more_sessions_than_are_remembered(
    client, listener, propagate_to, monkeypatch
):
    monkeypatch.setattr(http, "_MAX_WRITTEN", 0)
    propagate_to("*.mine.example")
    url = listener.url(path=f"/?to={listener.url('stranger.example', '/2')}")
    with using_session("chat-42", user_id="ada"):
        client(url, {"baggage": "tenant=blue"})
    assert listener.received() == [
        ("api.mine.example", f"tenant=blue,{IDS}"),
        ("stranger.example", "tenant=blue"),
    ]


@each_redirecting_client
def test_a_redirect_to_a_listed_host_sends_them(client, listener, propagate_to):
    propagate_to("*.mine.example")
    url = listener.url(path=f"/?to={listener.url('b.mine.example', '/2')}")
    with using_session("chat-42", user_id="ada"):
        client(url)
    assert listener.received() == [("api.mine.example", IDS), ("b.mine.example", IDS)]


@each_redirecting_client
def test_a_port_counts_where_the_list_names_one(client, listener, propagate_to):
    with using_session("chat-42"):
        propagate_to(f"api.mine.example:{listener.port}")
        client(listener.url())
        propagate_to("api.mine.example:9")
        client(listener.url())
    assert [header for _, header in listener.received()] == ["session.id=chat-42", None]


@each_redirecting_client
def test_special_characters_are_encoded(client, listener, propagate_to):
    propagate_to("*.mine.example")
    with using_session("Grüße, 100% + mehr", user_id="a=b;c"):
        client(listener.url())
    assert listener.last.baggage == (
        "session.id=Gr%C3%BC%C3%9Fe%2C%20100%25%20%2B%20mehr,user.id=a%3Db%3Bc"
    )


@each_redirecting_client
def test_where_there_is_no_room_the_applications_header_is_kept(
    client, listener, propagate_to, dropped
):
    propagate_to("*.mine.example")
    full = "a=" + "b" * 8180
    with using_session("chat-42"):
        client(listener.url(), {"baggage": full})
    assert listener.last.baggage == full
    assert dropped("ids for which a request's baggage has no room") == 1


@each_client
def test_a_model_call_sends_no_ids_to_any_host(client, listener, propagate_to, provider):
    propagate_to("*")
    tracer = provider.get_tracer("openinference.instrumentation.fake")
    attributes = {"openinference.span.kind": "LLM"}
    with (
        using_session("chat-42"),
        tracer.start_as_current_span("llm", attributes=attributes),
        tracer.start_as_current_span("attempt"),
    ):
        client(listener.url())
        with tracer.start_as_current_span("t", attributes={"openinference.span.kind": "TOOL"}):
            client(listener.url())
    assert [header for _, header in listener.received()] == [None, "session.id=chat-42"]


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_the_next_request_of_a_redirect_has_no_ids_for_other_hosts(
    library, instrumented, listener, propagate_to
):
    """The hop may have no span of its own, for example where a URL is excluded from tracing."""
    if library not in instrumented:
        pytest.skip(f"{library} or its instrumentation is not installed")
    propagate_to("*.mine.example")
    with (
        using_session("chat-42", user_id="ada"),
        import_module(library).Client(trust_env=False) as client,
    ):
        away = client.get(listener.url(path=f"/?to={listener.url('evil.org')}"))
        on = client.get(listener.url(path=f"/?to={listener.url('b.mine.example')}"))
    assert listener.received() == [("api.mine.example", IDS)] * 2
    assert "baggage" not in away.next_request.headers
    assert on.next_request.headers["baggage"] == IDS


@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_a_request_that_is_sent_again_has_the_ids_of_its_sender(
    library, instrumented, listener, propagate_to
):
    if library not in instrumented:
        pytest.skip(f"{library} or its instrumentation is not installed")
    propagate_to("*.mine.example")
    module = import_module(library)
    with (module.Client if library == "httpx" else module.Session)() as client:
        if library == "httpx":
            request = client.build_request("GET", listener.url())
        else:
            client.trust_env = False
            request = client.prepare_request(module.Request("GET", listener.url()))
        for session in ("chat-1", "chat-2"):
            with using_session(session):
                client.send(request)
        client.send(request)
    assert [header for _, header in listener.received()] == [
        "session.id=chat-1",
        "session.id=chat-2",
        None,
    ]


@pytest.mark.usefixtures("instrumented")
def test_where_the_span_is_not_sampled_nothing_is_written(listener, propagate_to):
    httpx = pytest.importorskip("httpx")
    propagate_to("*")
    unsampled = NonRecordingSpan(SpanContext(1, 1, is_remote=False))
    with use_span(unsampled), using_session("chat-42"), httpx.Client(trust_env=False) as client:
        client.get(listener.url())
    assert listener.received() == [("api.mine.example", None)]


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"url.full": "http://api.mine.example/"},
        {"server.address": "api.mine.example"},
        {"server.address": "evil.org", "url.full": "http://api.mine.example/"},
        {"http.request.method": "GET", "url.full": "http://api.mine.example@evil.org/"},
        {"http.request.method": "GET", "url.full": "http://evil.org\\@api.mine.example/"},
        {"http.request.method": "GET", "url.full": "http://evil.org\n@api.mine.example/"},
        {"http.request.method": "GET", "url.full": "http://api.mine.example:port/"},
        {"http.request.method": "GET", "url.full": "/"},
        {"http.request.method": "GET", "server.address": "api.mine.example, evil.org"},
    ],
)
def test_where_the_host_cannot_be_known_nothing_is_written(provider, propagate_to, attributes):
    propagate_to("*.mine.example")
    kind = (
        SpanKind.INTERNAL if len(attributes) == 1 and "url.full" in attributes else SpanKind.CLIENT
    )
    headers = {}
    with (
        using_session("chat-42"),
        provider.get_tracer("a").start_as_current_span("a", kind=kind, attributes=attributes),
    ):
        ClewPropagator().inject(headers)
    assert headers == {}
