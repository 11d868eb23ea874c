"""Whom a service believes, and what becomes of the ids that a request brings."""

import pytest
from opentelemetry import baggage

from clew import current
from clew.context.identity import pseudonymised
from clew.web import asgi as asgi_middleware
from clew.web import from_header
from clew.web import wsgi as wsgi_middleware
from tests.crossing.services import SERVICES, ask

MIDDLEWARE = {"asgi": asgi_middleware, "wsgi": wsgi_middleware}
IDS = ("baggage", "session.id=chat-42,user.id=ada")


def _as_it_is(app):
    return app


@pytest.fixture(params=SERVICES)
def serve(request, provider, exporter):
    """Serve one handler, and return the ids of all spans of a request, and what was current."""

    def served(*headers, handle=None, middleware=None, **sources):
        seen = []
        tracer = provider.get_tracer("application")

        def handler():
            seen.append(current())
            tracer.start_span("inside").end()
            if handle is not None:
                handle()

        wrap = {"around": _as_it_is, "within": _as_it_is}
        if middleware:
            made = MIDDLEWARE[request.param].SessionMiddleware
            wrap[middleware] = lambda app: made(app, **sources)
        exporter.clear()
        with SERVICES[request.param](handler, provider, **wrap) as port:
            assert ask(port, *headers) == 204
        spans = [dict(span.attributes) for span in exporter.get_finished_spans()]
        ids = {(said.get("session.id"), said.get("user.id")) for said in spans}
        return ids, seen[0]

    return served


def test_nobody_is_believed_by_default(serve):
    ids, seen = serve(IDS)
    assert ids == {(None, None)}
    assert not seen


def test_whoever_is_trusted_is(serve, trusted):
    ids, seen = serve(IDS)
    assert ids == {("chat-42", "ada")}
    assert (seen.session_id, seen.user_id) == ("chat-42", "ada")


def test_an_id_is_decoded_once(serve, trusted):
    ids, _ = serve(("baggage", " user.id = Gr%C3%BC%C3%9Fe%20%2B+%2541 ;p=1, a=b"))
    assert ids == {(None, "Grüße ++%41")}


@pytest.mark.parametrize("middleware", ["around", "within"])
def test_the_applications_middleware_counts_more(serve, trusted, middleware):
    ids, _ = serve(
        IDS, ("x-session", "own"), middleware=middleware, session=from_header("x-session")
    )
    assert ids == {("own", "ada")}


@pytest.mark.parametrize("middleware", ["around", "within"])
def test_a_middleware_that_finds_nothing_takes_nothing_away(serve, trusted, middleware):
    ids, _ = serve(IDS, middleware=middleware, session=from_header("x-session"))
    assert ids == {("chat-42", "ada")}


@pytest.mark.parametrize(
    "header",
    [
        "session.id=%00",
        "session.id=a%0D%0Aset-cookie:b",
        "session.id=%FF%FE",
        "session.id=",
        "session.id=" + "a" * 257,
        "session.id=one,session.id=two",
        "session.id=%20%20",
    ],
)
def test_what_cannot_be_used_is_dropped_and_counted(serve, trusted, dropped, header):
    ids, _ = serve(("baggage", header))
    assert ids == {(None, None)}
    assert dropped() == 1


def test_a_pseudonym_is_not_hashed_again(serve, trusted, user_id_key):
    pseudonym = str(pseudonymised("ada"))
    ids, _ = serve(("baggage", f"user.id={pseudonym},clew.pseudonym=user.id"))
    assert ids == {(None, pseudonym)}


def test_a_user_in_plain_text_is(serve, trusted, user_id_key):
    ids, _ = serve(("baggage", "user.id=ada"))
    assert ids == {(None, str(pseudonymised("ada")))}


@pytest.mark.parametrize("believed", ["1", "0"])
@pytest.mark.usefixtures("instrumented")
def test_they_do_not_ride_on(serve, listener, propagate_to, monkeypatch, believed):
    """OpenTelemetry's `baggage` sends on to anybody what came in; not these."""
    httpx = pytest.importorskip("httpx")
    monkeypatch.setenv("CLEW_TRUST_INBOUND", believed)
    propagate_to("b.mine.example")
    said = []

    def handle():
        said.append(dict(baggage.get_all()))
        with httpx.Client(trust_env=False) as client:
            for host in ("b.mine.example", "stranger.example", "api.openai.com"):
                client.get(listener.url(host))

    bring = "tenant=blue,session.id=chat-42,user%2Eid=ada,user.id=ada,clew.pseudonym=x"
    serve(("baggage", bring), handle=handle)
    assert said == [{"tenant": "blue"}]
    ids = ",session.id=chat-42,user.id=ada" if believed == "1" else ""
    assert listener.told() == [
        ("b.mine.example", f"tenant=blue{ids}"),
        ("stranger.example", "tenant=blue"),
        ("api.openai.com", "tenant=blue"),
    ]
