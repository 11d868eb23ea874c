"""To whom the ids are sent, by each of the clients, as a real server sees it."""

from importlib import import_module

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, use_span

from clew import isolated, using_session, using_user
from clew.propagation import http
from clew.propagation.http import ClewPropagator
from tests.crossing.clients import CLIENTS, FOLLOWING

each_client = pytest.mark.parametrize("client", CLIENTS, indirect=True)
each_that_follows = pytest.mark.parametrize("client", FOLLOWING, indirect=True)
IDS = "session.id=chat-42,user.id=ada"


@each_client
def test_a_host_on_the_list_is_told(client, listener, propagate_to):
    propagate_to("other.example, *.mine.example")
    with using_session("chat-42", user_id="ada"):
        client(listener.url())
    assert listener.told() == [("api.mine.example", IDS)]


@each_client
def test_nobody_is_told_by_default(client, listener):
    with using_session("chat-42", user_id="ada"):
        client(listener.url())
    assert listener.told() == [("api.mine.example", None)]


@each_client
@pytest.mark.parametrize(
    "stranger",
    ["mine.example", "api.mine.example.evil.org", "evilmine.example", "api-mine.example"],
)
def test_a_stranger_is_not(client, listener, propagate_to, stranger):
    propagate_to("*.mine.example")
    with using_session("chat-42", user_id="ada"):
        client(listener.url(stranger))
    assert listener.told() == [(stranger, None)]


@each_client
@pytest.mark.parametrize("host", ["api.openai.com", "bedrock-runtime.eu-west-1.amazonaws.com"])
def test_a_model_provider_is_never(client, listener, propagate_to, host):
    propagate_to(f"*, {host}")
    theirs = attach(baggage.set_baggage("user.id", "ada"))
    with using_session("chat-42", user_id="ada"):
        client(listener.url(host), {"baggage": "session.id=chat-42,a=b"})
    detach(theirs)
    # The stock propagator, where it is on, has overwritten what the application said.
    assert listener.told() in ([(host, "a=b")], [(host, None)])


@each_client
def test_the_header_that_is_there_stays(client, listener, propagate_to):
    propagate_to("api.mine.example")
    with using_session("chat-42", user_id="ada"):
        client(listener.url(), {"Baggage": "tenant=blue;p=1,user.id=someone"})
    assert listener.last.baggage == "tenant=blue;p=1,user.id=someone,session.id=chat-42"


@each_that_follows
def test_what_is_in_opentelemetrys_baggage_stays_but_goes_to_no_stranger(
    client, listener, propagate_to
):
    propagate_to("api.mine.example")
    theirs = attach(baggage.set_baggage("session.id", "theirs"))
    with using_session("chat-42", user_id="ada"):
        client(listener.url())
        client(listener.url("stranger.example"))
        assert baggage.get_all() == {"session.id": "theirs"}
    detach(theirs)
    assert listener.told() == [
        ("api.mine.example", "session.id=theirs,user.id=ada"),
        ("stranger.example", None),
    ]


@each_client
def test_a_pseudonym_says_so(client, listener, propagate_to, user_id_key):
    propagate_to("api.mine.example")
    with using_user("ada"):
        client(listener.url())
    told = listener.last.baggage
    assert "ada" not in told
    assert told.startswith("user.id=")
    assert told.endswith(",clew.pseudonym=user.id")


@each_client
def test_without_an_id_nothing_is_said(client, listener, propagate_to):
    propagate_to("*")
    client(listener.url())
    with using_session("chat-42"), isolated():
        client(listener.url())
    assert {told for _, told in listener.told()} == {None}


@each_that_follows
@pytest.mark.parametrize("stranger", ["evil.org", "api.openai.com"])
def test_a_redirect_does_not_take_them_along(client, listener, propagate_to, stranger):
    propagate_to("*.mine.example")
    away = listener.url(path=f"/?to={listener.url(stranger, '/2')}")
    with using_session("chat-42", user_id="ada"):
        client(away, {"baggage": "tenant=blue"})
    assert listener.told() == [
        ("api.mine.example", f"tenant=blue,{IDS}"),
        (stranger, "tenant=blue"),
    ]


@each_that_follows
def test_nor_does_one_after_more_sessions_than_are_remembered(
    client, listener, propagate_to, monkeypatch
):
    monkeypatch.setattr(http, "_MAX_WRITTEN", 0)
    propagate_to("*.mine.example")
    away = listener.url(path=f"/?to={listener.url('stranger.example', '/2')}")
    with using_session("chat-42", user_id="ada"):
        client(away, {"baggage": "tenant=blue"})
    assert listener.told() == [
        ("api.mine.example", f"tenant=blue,{IDS}"),
        ("stranger.example", "tenant=blue"),
    ]


@each_that_follows
def test_a_redirect_among_ones_own_does(client, listener, propagate_to):
    propagate_to("*.mine.example")
    on = listener.url(path=f"/?to={listener.url('b.mine.example', '/2')}")
    with using_session("chat-42", user_id="ada"):
        client(on)
    assert listener.told() == [("api.mine.example", IDS), ("b.mine.example", IDS)]


@each_that_follows
def test_a_port_counts_where_it_is_named(client, listener, propagate_to):
    with using_session("chat-42"):
        propagate_to(f"api.mine.example:{listener.port}")
        client(listener.url())
        propagate_to("api.mine.example:9")
        client(listener.url())
    assert [told for _, told in listener.told()] == ["session.id=chat-42", None]


@each_that_follows
def test_what_is_no_ascii_is_encoded(client, listener, propagate_to):
    propagate_to("*.mine.example")
    with using_session("Grüße, 100% + mehr", user_id="a=b;c"):
        client(listener.url())
    assert listener.last.baggage == (
        "session.id=Gr%C3%BC%C3%9Fe%2C%20100%25%20%2B%20mehr,user.id=a%3Db%3Bc"
    )


@each_that_follows
def test_where_there_is_no_room_the_application_comes_first(
    client, listener, propagate_to, dropped
):
    propagate_to("*.mine.example")
    full = "a=" + "b" * 8180
    with using_session("chat-42"):
        client(listener.url(), {"baggage": full})
    assert listener.last.baggage == full
    assert dropped("ids for which a request's baggage has no room") == 1


@each_client
def test_what_a_model_call_sends_carries_none_wherever_it_goes(
    client, listener, propagate_to, provider
):
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
    assert [told for _, told in listener.told()] == [None, "session.id=chat-42"]


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_nor_does_the_next_request_that_is_sent_by_hand(
    library, instrumented, listener, propagate_to
):
    """Its hop may have no span of its own, as where a URL is excluded from tracing."""
    if library not in instrumented:
        pytest.skip(f"{library} or its instrumentation is not installed")
    propagate_to("*.mine.example")
    with (
        using_session("chat-42", user_id="ada"),
        import_module(library).Client(trust_env=False) as client,
    ):
        away = client.get(listener.url(path=f"/?to={listener.url('evil.org')}"))
        on = client.get(listener.url(path=f"/?to={listener.url('b.mine.example')}"))
    assert listener.told() == [("api.mine.example", IDS)] * 2
    assert "baggage" not in away.next_request.headers
    assert on.next_request.headers["baggage"] == IDS


@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_a_request_that_is_sent_again_belongs_to_whoever_sends_it(
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
    assert [told for _, told in listener.told()] == ["session.id=chat-1", "session.id=chat-2", None]


@pytest.mark.usefixtures("instrumented")
def test_what_is_not_sampled_does_not_say_where_it_goes(listener, propagate_to):
    httpx = pytest.importorskip("httpx")
    propagate_to("*")
    unsampled = NonRecordingSpan(SpanContext(1, 1, is_remote=False))
    with use_span(unsampled), using_session("chat-42"), httpx.Client(trust_env=False) as client:
        client.get(listener.url())
    assert listener.told() == [("api.mine.example", None)]


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
def test_where_it_cannot_be_known_nothing_is_written(provider, propagate_to, attributes):
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
