"""A request whose session is known after its span started, and one whose context is lost."""

import asyncio
from collections import Counter

import pytest
from opentelemetry import context as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)

from clew import carry, current, isolated, using_attributes, using_session, using_tags, using_user
from clew.context.ids import SESSION_ID, USER_ID
from clew.patching.undo import UndoStack
from clew.propagation.threads import instrument_threads
from clew.spans.session_sampler import session_is_kept
from clew.web.request_ids import RequestSession
from tests.integration.web.asgi_apps import WAYS, assembled
from tests.integration.web.recorder import ASGIProbe
from tests.support.sampling import sample_sessions

ROOTS = [SpanKind.SERVER, SpanKind.CONSUMER]
OTHERS = [SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.PRODUCER]


def remote(trace=1, span=2):
    parent = SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(parent), otel.Context())


@pytest.fixture
def span(telemetry):
    def start(name="root", kind=SpanKind.SERVER, **options):
        return telemetry.tracer.start_as_current_span(name, kind=kind, **options)

    return start


@pytest.fixture
def ids(telemetry):
    def found(name="root"):
        (seen,) = [each for each in telemetry.record.spans if each.name == name]
        return seen.session, seen.user

    return found


@pytest.mark.parametrize("kind", ROOTS)
@pytest.mark.parametrize("parent", [None, remote()])
def test_a_root_gets_the_ids(span, ids, kind, parent):
    with span(kind=kind, context=parent), using_session("chat-42", user_id="ada"):
        pass
    assert ids() == ("chat-42", "ada")


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("parent", [None, remote()])
def test_a_job_of_many_sessions_gets_none(span, ids, kind, parent):
    with span(kind=kind, context=parent):
        for number in range(3):
            with using_session(f"chat-{number}"), span(f"part {number}", SpanKind.INTERNAL):
                pass
    assert ids() == (None, None)
    assert [ids(f"part {number}")[0] for number in range(3)] == ["chat-0", "chat-1", "chat-2"]


@pytest.mark.parametrize("kind", ROOTS)
def test_a_span_under_a_local_one_is_no_root(span, ids, kind):
    with span("job", SpanKind.INTERNAL), span("inner", kind), using_session("chat-42"):
        pass
    assert ids("inner") == ids("job") == (None, None)


def test_a_block_far_below_the_root(span, ids):
    with span(), span("a", SpanKind.INTERNAL), span("b", SpanKind.CLIENT), span("c"):
        with using_session("chat-42"):
            pass
        with using_user("ada"):
            pass
    assert [ids(name) for name in ("a", "b", "c")] == [(None, None)] * 3
    assert ids() == ("chat-42", "ada")


def test_a_block_in_a_thread(span, ids):
    from concurrent.futures import ThreadPoolExecutor

    def learn():
        with using_session("chat-42"):
            pass

    undo = UndoStack("undoing what a test did")
    instrument_threads(undo)
    try:
        with span(), span("child", SpanKind.INTERNAL), ThreadPoolExecutor(1) as pool:
            pool.submit(learn).result()
    finally:
        undo.undo()
    assert ids() == ("chat-42", None)


def test_a_block_in_a_task(span, ids):
    async def learn():
        async with using_session("chat-42"):
            await asyncio.sleep(0)

    async def main():
        with span(), span("child", SpanKind.INTERNAL):
            await asyncio.gather(asyncio.create_task(learn()))

    asyncio.run(main())
    assert ids() == ("chat-42", None)


@using_session("chat-42")
def plain():
    pass


@using_session(lambda session: session)
def computed(session="chat-42"):
    pass


@using_session("chat-42")
async def coroutine():
    pass


@using_attributes(session_id="chat-42")
def generator():
    yield


HANDLERS = [plain, computed, lambda: asyncio.run(coroutine()), lambda: list(generator())]


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_decorator(span, ids, handler):
    with span():
        handler()
    assert ids() == ("chat-42", None)


def test_the_first_session_is_kept(span, ids):
    with span():
        with using_session("first"):
            pass
        with using_session("second", user_id="of the second"):
            pass
    assert ids() == ("first", None)


def test_the_applications_ids_are_kept(span, ids):
    with span(attributes={"session.id": "own"}), using_session("chat-42", user_id="ada"):
        pass
    assert ids() == ("own", None)


def test_the_second_id_is_added(span, ids):
    with using_session("chat-42"), span(), using_user("ada"):
        pass
    assert ids() == ("chat-42", "ada")


def test_blocks_without_ids_set_none(span, ids):
    with span(), using_tags(["tag"]), isolated():
        pass
    assert ids() == (None, None)


def test_invalid_values_in_the_context_are_ignored(span, ids):
    token = otel.attach(otel.set_value("session.id", ["not hashable"]))
    with span(), using_user("ada"):
        pass
    otel.detach(token)
    assert ids() == (None, "ada")


def test_an_ended_root_is_unchanged(span, ids, caplog):
    with span(), span("child", SpanKind.INTERNAL):
        inside = otel.get_current()
    token = otel.attach(inside)
    with using_session("chat-42"):
        pass
    otel.detach(token)
    assert ids() == (None, None)
    assert caplog.records == []


def test_two_roots_of_one_trace_are_not_confused(span, ids):
    def below(name):
        return span(f"below {name}", SpanKind.INTERNAL)

    with span("one", context=remote(span=2)):
        with span("two", context=remote(span=3)), below("two"), using_session("two"):
            pass
        with below("one"), using_session("one"):
            pass
    assert ids("one") == ("one", None)
    assert ids("two") == ("two", None)


def test_the_ids_are_kept_beyond_the_attribute_limit(span, ids):
    with span() as root:
        with using_session("chat-42", user_id="ada"):
            pass
        root.set_attributes({f"key-{number}": number for number in range(200)})
    assert ids() == ("chat-42", "ada")


LATE = [
    (framework, way, path)
    for framework in ("fastapi", "starlette")
    for way in (WAYS[2:] if framework == "fastapi" else WAYS[2:4])
    for path in ("late", "late-sync", "late-depends")
    if framework == "fastapi" or path == "late"
]


@pytest.mark.parametrize(("framework", "way", "path"), LATE)
def test_on_a_server(framework, way, path, serve, telemetry):
    httpx = pytest.importorskip("httpx")
    pytest.importorskip(framework)
    pytest.importorskip("opentelemetry.instrumentation.fastapi")
    app = ASGIProbe(assembled(framework, way, telemetry), telemetry.recorder)
    with serve(app) as url:
        for _ in range(2):  # The second gets its own ids, not those of the first.
            assert httpx.get(f"{url}/{path}").status_code == 200
        assert httpx.get(f"{url}/async").status_code == 200
        record = telemetry.recorder.after(3)
    assert record.names("learnt late") == Counter({"handler": 2})
    told = Counter((span.session, span.user) for span in record.servers)
    assert told == {("learnt late", "bob"): 2, (None, None): 1}
    # What is started once the session is known inherits it, as the sending of the response.
    assert record.names(None) == Counter(["handler"])


# --- a request whose context is lost ---


def as_a_server(tracer, inside):
    """Start a span from the headers alone, as OpenTelemetry's instrumentations do."""
    token = otel.attach(otel.Context())
    with tracer.start_as_current_span("server", kind=SpanKind.SERVER, context=otel.Context()):
        result = inside()
    otel.detach(token)
    return result


@pytest.fixture
def request_of():
    from clew.context.request import remember_request_context

    def run(session, inside):
        with using_session(session), remember_request_context():
            return inside()

    return run


def test_the_requests_session_is_restored(telemetry, ids, request_of):
    def serve():
        before = otel.get_current()
        assert as_a_server(telemetry.tracer, lambda: current().session_id) == "chat-42"
        assert otel.get_current() is before

    request_of("chat-42", serve)
    assert ids("server") == ("chat-42", None)
    assert not otel.get_current()


def test_the_session_is_restored_once_and_not_after_the_request(telemetry, request_of):
    def serve():
        for _ in range(2):
            as_a_server(telemetry.tracer, lambda: None)

    async def main():
        async def goes_on():
            await over.wait()
            as_a_server(telemetry.tracer, lambda: None)

        over = asyncio.Event()
        task = request_of("chat-43", lambda: asyncio.create_task(goes_on()))
        over.set()
        await task

    request_of("chat-42", serve)
    asyncio.run(main())
    found = [span.session for span in telemetry.record.spans]
    assert found == ["chat-42", None, None]


def test_the_session_is_not_restored_in_isolated(telemetry, ids, request_of):
    def serve():
        with isolated(), telemetry.tracer.start_as_current_span("server", kind=SpanKind.SERVER):
            assert not current()

    request_of("chat-42", serve)
    assert ids("server") == (None, None)


@pytest.fixture
def unsampled():
    return TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("unsampled")


def test_code_in_a_request_that_is_not_sampled_finds_its_session(unsampled, request_of):
    def inside():
        held = carry(lambda: current().session_id)
        with using_user("ada"):
            in_a_block = current()
        return current().session_id, in_a_block, held

    def serve():
        before = otel.get_current()
        result = as_a_server(unsampled, inside)
        assert otel.get_current() is before
        return result

    found, in_a_block, held = request_of("chat-42", serve)
    assert found == held() == "chat-42"
    assert (in_a_block.session_id, in_a_block.user_id) == ("chat-42", "ada")
    assert not current()


def test_isolated_holds_in_a_request_that_is_not_sampled(unsampled, request_of):
    def inside():
        with isolated():
            return current()

    assert not request_of("chat-42", lambda: as_a_server(unsampled, inside))


def test_what_comes_from_elsewhere_is_not_in_the_session_of_a_request(request_of):
    def serve():
        parent = SpanContext(1, 2, is_remote=True)
        token = otel.attach(set_span_in_context(NonRecordingSpan(parent), otel.Context()))
        found = current()
        otel.detach(token)
        return found

    assert not request_of("chat-42", serve)


def test_a_request_that_is_not_sampled_has_no_session_when_it_is_over(unsampled, request_of):
    async def main():
        async def goes_on():
            await over.wait()
            return as_a_server(unsampled, current)

        over = asyncio.Event()
        task = request_of("chat-42", lambda: asyncio.create_task(goes_on()))
        over.set()
        return await task

    assert not asyncio.run(main())


def test_sampling_uses_the_requests_session(telemetry, request_of):
    undo = sample_sessions(telemetry.provider, 0.5)
    sessions = [f"chat-{number}" for number in range(40)]
    for session in sessions:
        request_of(session, lambda: as_a_server(telemetry.tracer, lambda: None))
    undo()
    kept = [session for session in sessions if session_is_kept(session, 0.5)]
    assert 0 < len(kept) < 40
    assert [span.session for span in telemetry.record.spans] == kept


def test_a_span_before_its_session_has_no_ids_of_one_that_is_dropped(telemetry, span):
    undo = sample_sessions(telemetry.provider, 0.5)
    sessions = [f"chat-{number}" for number in range(40)]
    kept = [session for session in sessions if session_is_kept(session, 0.5)]

    def serve_all():
        for session in sessions:
            with span(), using_session(session, user_id="ada"):
                pass
            with span("in a middleware"), RequestSession({SESSION_ID: session, USER_ID: "ada"}):
                pass

    serve_all()
    told = [(each.session, each.user) for each in telemetry.record.spans]
    found = [(s, "ada") if s in kept else (None, None) for s in sessions for _ in range(2)]
    assert told == found
    undo()
    serve_all()
    assert all(each.session for each in telemetry.record.spans[80:])
