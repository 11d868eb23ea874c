"""gRPC: ids are sent in a call's metadata, if the channel's address is on the list."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from clew import current, using_session
from clew.propagation.grpc import server_attributes

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

    http.instrument_clients()  # As instrument_all() does.
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


CALLS = [by_call, by_future, by_stream, by_aio, by_aio_stream]


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
