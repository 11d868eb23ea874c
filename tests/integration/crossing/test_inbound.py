"""A service accepts ids from requests if they are trusted, and does not send them on."""

import pytest
from opentelemetry import baggage

from clew import current
from clew.context.pseudonyms import pseudonymise
from clew.web import asgi as asgi_middleware
from clew.web import from_header
from clew.web import wsgi as wsgi_middleware
from tests.integration.crossing.services import SERVICES, send_request

MIDDLEWARE = {"asgi": asgi_middleware, "wsgi": wsgi_middleware}
IDS = ("baggage", "session.id=chat-42,user.id=ada")


def _unchanged(app):
    return app


@pytest.fixture(params=SERVICES)
def serve(request, provider, exporter):
    """Serve a request; return the ids of all its spans, and the identity that was current."""

    def serve(*headers, handle=None, middleware=None, **sources):
        identities = []
        tracer = provider.get_tracer("application")

        def handler():
            identities.append(current())
            tracer.start_span("inside").end()
            if handle is not None:
                handle()

        wrap = {"around": _unchanged, "within": _unchanged}
        if middleware:
            cls = MIDDLEWARE[request.param].SessionMiddleware
            wrap[middleware] = lambda app: cls(app, **sources)
        exporter.clear()
        with SERVICES[request.param](handler, provider, **wrap) as port:
            assert send_request(port, *headers) == 204
        spans = [dict(span.attributes) for span in exporter.get_finished_spans()]
        ids = {(attributes.get("session.id"), attributes.get("user.id")) for attributes in spans}
        return ids, identities[0]

    return serve


def test_ids_are_not_accepted_by_default(serve):
    ids, identity = serve(IDS)
    assert ids == {(None, None)}
    assert not identity


def test_ids_are_accepted_if_trusted(serve, trusted):
    ids, identity = serve(IDS)
    assert ids == {("chat-42", "ada")}
    assert (identity.session_id, identity.user_id) == ("chat-42", "ada")


def test_an_id_is_decoded_once(serve, trusted):
    ids, _ = serve(("baggage", " user.id = Gr%C3%BC%C3%9Fe%20%2B+%2541 ;p=1, a=b"))
    assert ids == {(None, "Grüße ++%41")}


@pytest.mark.parametrize("middleware", ["around", "within"])
def test_the_applications_middleware_has_precedence(serve, trusted, middleware):
    ids, _ = serve(
        IDS, ("x-session", "own"), middleware=middleware, session=from_header("x-session")
    )
    assert ids == {("own", "ada")}


@pytest.mark.parametrize("middleware", ["around", "within"])
def test_a_middleware_that_finds_no_id_changes_nothing(serve, trusted, middleware):
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
def test_an_unusable_id_is_dropped_and_counted(serve, trusted, dropped, header):
    ids, _ = serve(("baggage", header))
    assert ids == {(None, None)}
    assert dropped() == 1


def test_a_pseudonym_is_not_hashed_again(serve, trusted, user_id_key):
    pseudonym = str(pseudonymise("ada"))
    ids, _ = serve(("baggage", f"user.id={pseudonym},clew.pseudonym=user.id"))
    assert ids == {(None, pseudonym)}


def test_a_user_in_plain_text_is_hashed(serve, trusted, user_id_key):
    ids, _ = serve(("baggage", "user.id=ada"))
    assert ids == {(None, str(pseudonymise("ada")))}


@pytest.mark.parametrize("trust", ["1", "0"])
@pytest.mark.usefixtures("instrumented")
def test_opentelemetrys_baggage_does_not_send_them_on(
    serve, listener, propagate_to, monkeypatch, trust
):
    """It sends all other members that came in to every host."""
    httpx = pytest.importorskip("httpx")
    monkeypatch.setenv("CLEW_TRUST_INBOUND", trust)
    propagate_to("b.mine.example")
    baggage_found = []

    def handle():
        baggage_found.append(dict(baggage.get_all()))
        with httpx.Client(trust_env=False) as client:
            for host in ("b.mine.example", "stranger.example", "api.openai.com"):
                client.get(listener.url(host))

    header = "tenant=blue,session.id=chat-42,user%2Eid=ada,user.id=ada,clew.pseudonym=x"
    serve(("baggage", header), handle=handle)
    assert baggage_found == [{"tenant": "blue"}]
    ids = ",session.id=chat-42,user.id=ada" if trust == "1" else ""
    assert listener.received() == [
        ("b.mine.example", f"tenant=blue{ids}"),
        ("stranger.example", "tenant=blue"),
        ("api.openai.com", "tenant=blue"),
    ]
