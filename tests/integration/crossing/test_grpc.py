"""gRPC: ids are sent in a call's metadata, if the channel's address is on the list."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from clew import current, isolated, stats, using_session
from clew.core import containment
from clew.patching.undo import UndoStack
from clew.propagation import grpc as clew_grpc
from clew.propagation.grpc import instrument_streams, server_attributes

grpc = pytest.importorskip("grpc")
instrumentation = pytest.importorskip("opentelemetry.instrumentation.grpc")

IDS = "session.id=chat-42,user.id=ada"
METHOD = "/clew.Tests/Ask"


class Service(grpc.GenericRpcHandler):
    """Answers calls of any kind, and keeps the ids that they sent."""

    def __init__(self):
        self.baggage, self.current = [], []

    def _note(self, context):
        self.baggage.append(dict(context.invocation_metadata()).get("baggage"))
        self.current.append((current().session_id, current().user_id))

    def service(self, details):
        def answer(request, context):
            self._note(context)
            return b""

        def answer_stream(request, context):
            self._note(context)
            yield b""

        if details.method.endswith("Stream"):
            return grpc.unary_stream_rpc_method_handler(answer_stream)
        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def service(provider, propagate_to, trusted):
    propagate_to("localhost")
    from clew.propagation import http

    undo = UndoStack("undoing what a test did")
    http.instrument_clients()  # As instrument_all() does.
    instrument_streams(undo)
    instrumentors = [
        getattr(instrumentation, name)()
        for name in (
            "GrpcInstrumentorClient",
            "GrpcAioInstrumentorClient",
            "GrpcInstrumentorServer",
        )
    ]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider, skip_dep_check=True)
    service = Service()
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((service,))
    service.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield service
    server.stop(None).wait()
    for instrumentor in instrumentors:
        instrumentor.uninstrument()
    undo.undo()


def by_call(target):
    with grpc.insecure_channel(target) as channel:
        channel.unary_unary(METHOD)(b"")


def by_future(target):
    with grpc.insecure_channel(target=target) as channel:
        channel.unary_unary(METHOD).future(b"").result()


def by_stream(target):
    with grpc.insecure_channel(target) as channel:
        list(channel.unary_stream(METHOD + "Stream")(b""))


def by_aio(target):
    async def main():
        async with grpc.aio.insecure_channel(target) as channel:
            await channel.unary_unary(METHOD)(b"", metadata=(("baggage", "tenant=blue"),))

    asyncio.run(main())


def by_aio_stream(target):
    async def main():
        async with grpc.aio.insecure_channel(target) as channel:
            async for _ in channel.unary_stream(METHOD + "Stream")(b""):
                pass

    asyncio.run(main())


def by_hand(target):
    """OpenTelemetry's interceptor is given to a channel that another one is around."""
    from opentelemetry.instrumentation.grpc.grpcext import intercept_channel

    class Other(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, details, request):
            return continuation(details, request)

    with bare_channel(target) as channel:
        through_other = grpc.intercept_channel(channel, Other())
        intercepted = intercept_channel(through_other, instrumentation.client_interceptor())
        intercepted.unary_unary(METHOD)(b"")


def bare_channel(target):
    """Return a channel as it is without OpenTelemetry's instrumentation of all channels."""
    return grpc.insecure_channel.__wrapped__(target)


CALLS = [by_call, by_future, by_stream, by_aio, by_aio_stream, by_hand]


@pytest.mark.parametrize("call", CALLS)
def test_a_listed_host_receives_the_ids(service, call):
    with using_session("chat-42", user_id="ada"):
        call(f"localhost:{service.port}")
    assert service.baggage == [f"tenant=blue,{IDS}" if call is by_aio else IDS]
    assert service.current == [("chat-42", "ada")]


@pytest.mark.parametrize("call", CALLS)
def test_other_hosts_do_not(service, call, exporter):
    exporter.clear()
    with using_session("chat-42", user_id="ada"):
        call(f"dns:///127.0.0.1:{service.port}")
    assert service.baggage == ["tenant=blue" if call is by_aio else None]
    spans = [span for span in exporter.get_finished_spans() if span.kind.name == "CLIENT"]
    addresses = [(it.attributes["server.address"], it.attributes["server.port"]) for it in spans]
    assert addresses == [("127.0.0.1", service.port)]


def test_an_interceptor_may_serve_several_channels(service):
    """The host of one channel is not taken for that of another one."""
    interceptor = instrumentation.client_interceptor()
    hosts = ("localhost", "127.0.0.1", "localhost")
    channels = [
        instrumentation.intercept_channel(bare_channel(f"{it}:{service.port}"), interceptor)
        for it in hosts
    ]
    with using_session("chat-42", user_id="ada"):
        for channel in channels:
            channel.unary_unary(METHOD)(b"")
            channel.close()
    assert service.baggage == [IDS, None, IDS]


@pytest.mark.parametrize("positional", [False, True])
def test_so_may_one_of_an_asynchronous_channel(service, positional):
    async def main():
        interceptors = instrumentation.aio_client_interceptors()
        for host in ("localhost", "127.0.0.1"):
            target = f"{host}:{service.port}"
            channel = (
                grpc.aio._channel.Channel(target, (), None, None, interceptors)
                if positional
                else grpc.aio.insecure_channel(target, interceptors=interceptors)
            )
            async with channel:
                await channel.unary_unary(METHOD)(b"")

    instrumentation.GrpcAioInstrumentorClient().uninstrument()
    try:
        with using_session("chat-42", user_id="ada"):
            asyncio.run(main())
    finally:
        instrumentation.GrpcAioInstrumentorClient().instrument(skip_dep_check=True)
    assert service.baggage == [IDS, None]


@pytest.mark.parametrize("reads_in", [isolated, lambda: using_session("of the reader")])
def test_a_stream_is_in_the_session_of_its_call(service, exporter, reads_in):
    """It is only begun when it is read, which may be outside the block, or in another one."""
    exporter.clear()
    with grpc.insecure_channel(f"localhost:{service.port}") as channel:
        with using_session("chat-42", user_id="ada"):
            stream = channel.unary_stream(METHOD + "Stream")(b"")
        with reads_in():
            of_reader = current()
            for _ in stream:
                assert current() == of_reader
    assert service.baggage == [IDS]
    assert service.current == [("chat-42", "ada")]
    (span,) = [span for span in exporter.get_finished_spans() if span.kind.name == "CLIENT"]
    assert span.attributes["session.id"] == "chat-42"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("carry", by_stream),
        ("server_attributes", by_call),
        ("server_attributes", by_aio),
        ("otel_private", by_hand),
    ],
)
def test_an_error_of_clews_breaks_no_call(service, monkeypatch, name, call):
    monkeypatch.setattr(containment, "reraise", False)
    monkeypatch.setattr(containment, "_logged", set())
    monkeypatch.setattr(clew_grpc, name, None)
    before = sum(stats().errors.values())
    with using_session("chat-42"):
        call(f"localhost:{service.port}")
    assert len(service.current) == 1
    assert sum(stats().errors.values()) > before


def test_a_channel_whose_target_is_nowhere_is_left_alone():
    class Endless:
        def __init__(self):
            self._channel = self

    for channel in (Endless(), object(), None):
        assert clew_grpc._target_of(channel) is None


def test_streams_are_kept_in_their_session_without_any_setting(python):
    python("""
        from clew import instrument_all, uninstrument_all
        from opentelemetry.instrumentation.grpc._client import OpenTelemetryClientInterceptor as It
        before = It.intercept_stream
        instrument_all(only=[])
        assert It.intercept_stream is not before
        uninstrument_all()
        assert It.intercept_stream is before
    """)


def test_a_channel_made_before_sends_no_ids(service):
    """Its address cannot be known."""
    from clew.propagation import http

    http.uninstrument_clients()
    with using_session("chat-42"):
        by_call(f"localhost:{service.port}")
    assert service.baggage == [None]


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("api.mine.example:443", ("api.mine.example", 443)),
        ("api.mine.example", ("api.mine.example", None)),
        ("dns:///api.mine.example:50051", ("api.mine.example", 50051)),
        ("dns://8.8.8.8/api.mine.example:50051", ("api.mine.example", 50051)),
        ("dns:api.mine.example:50051", ("api.mine.example", 50051)),
        ("ipv4:127.0.0.1:50051", ("127.0.0.1", 50051)),
        ("ipv6:[::1]:50051", ("::1", 50051)),
        ("[::1]:50051", ("::1", 50051)),
        ("::1", ("::1", None)),
        ("ipv4:127.0.0.1:50051,127.0.0.2:50051", None),
        ("unix:/run/some.sock", None),
        ("unix:///run/some.sock", None),
        ("xds:///api.mine.example", None),
        ("api.mine.example:port", None),
        ("", None),
    ],
)
def test_the_attributes_of_a_target(target, address):
    found = server_attributes(target)
    assert (found.get("server.address"), found.get("server.port")) == (address or (None, None))
