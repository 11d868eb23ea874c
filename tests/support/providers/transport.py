"""HTTP/1.1 with keep-alive: reads and records requests, writes answers, and applies faults."""

from __future__ import annotations

import json
import re
import select
import socket
import threading
import traceback
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from tests.support.providers import bedrock_wire, mistral_wire, openai_wire, secrecy
from tests.support.providers.exchange import Event, Reply, Request

if TYPE_CHECKING:
    from tests.support.providers.exchange_log import ExchangeLog
    from tests.support.providers.faults import Fault, FaultPlan

_BEDROCK_PATHS = (
    "/model/",
    "/agents/",
    "/knowledgebases/",
    "/retrieveAndGenerate",
    "/guardrail/",
)
_MISTRAL_MODELS = re.compile(r"(open-)?(mistral|mixtral|ministral|codestral|magistral|devstral)")


class Wire(Protocol):
    """The functions of a provider's module: an answer to a request, and an error in its format."""

    def answer(self, request: Request) -> Reply: ...

    def error(self, status: int, message: str | None = None) -> Reply: ...


def wire_of(request: Request) -> Wire:
    """The provider a request is meant for.

    Bedrock is told by its paths. OpenAI and Mistral share theirs: the SDKs name themselves in the
    user agent, and clients that do not (such as LangChain's for Mistral) are told by the model.
    """
    if request.path.startswith(_BEDROCK_PATHS):
        return bedrock_wire
    agent = request.headers.get("user-agent", "").lower()
    if "mistral" in agent:
        return mistral_wire
    model = str(request.fields.get("model", ""))
    if "openai" not in agent and _MISTRAL_MODELS.match(model):
        return mistral_wire
    return openai_wire


class Transport(ThreadingHTTPServer):
    """The listening socket on loopback, with a thread for every connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, exchange_log: ExchangeLog, faults: FaultPlan) -> None:
        self.exchange_log = exchange_log
        self.faults = faults
        self.closing = threading.Event()
        self.crashes: list[str] = []
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """Wake handlers that wait on idle keep-alive connections, so their sockets get closed."""
        with self._connections_lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: clients of the tests disconnect on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Transport

    def do_GET(self) -> None:
        """Any method: hang or fail if a fault matches, else answer."""
        request = self._read()
        faults = self.server.faults
        fault = faults.take(request, mid_stream=False)
        number = self.server.exchange_log.open(request)
        if fault is not None and fault.status is None:
            with faults.hanging(fault):
                if self.server.closing.is_set() or self._client_left():
                    self.close_connection = True
                    return
                reply = self._decide(number, request, None)
        else:
            reply = self._decide(number, request, fault)
        if reply.events is None:
            self._keep(number, reply, reply.body)
            self._send(reply)
        else:
            self._stream(number, reply, faults.take(request, mid_stream=True))

    def _decide(self, number: int, request: Request, fault: Fault | None) -> Reply:
        """Return the reply, recorded before it is sent, so that no client can be faster."""
        wire = wire_of(request)
        if fault is not None and fault.status is not None:
            reply = wire.error(fault.status)
        else:
            reply = self._answered(wire, request)
        self.server.exchange_log.complete(
            number,
            status=reply.status,
            stream=reply.events is not None,
            usage=reply.usage,
            embedding_tokens=reply.embedding_tokens,
        )
        return reply

    do_POST = do_DELETE = do_PUT = do_PATCH = do_GET

    def _answered(self, wire: Wire, request: Request) -> Reply:
        """The answer in the wire format. If that raises, the test that caused it has to fail."""
        try:
            return wire.answer(request)
        except Exception:
            trace = traceback.format_exc()
            self.server.crashes.append(f"{request.method} {request.path}\n{trace}")
            return wire.error(500, trace)

    def _read(self) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if "chunked" in headers.get("transfer-encoding", ""):
            raw = b"".join(self._request_chunks())
        else:
            raw = self.rfile.read(int(headers.get("content-length") or 0))
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        path = unquote(urlsplit(self.path).path)
        for leak in secrecy.leaks_in(self.headers.items()):
            message = f"{self.command} {path} told the provider an id: {leak}"
            secrecy.LEAKS.append(message)
            self.server.crashes.append(message)
        return Request(self.command, path, headers, raw, body)

    def _request_chunks(self) -> Iterable[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            continue

    def _send(self, reply: Reply) -> None:
        self._send_head(reply, "content-length", str(len(reply.body)))
        self.wfile.write(reply.body)

    def _send_head(self, reply: Reply, framing: str, value: str) -> None:
        self.send_response(reply.status)
        for name, one in {**reply.headers, framing: value}.items():
            self.send_header(name, one)
        self.end_headers()

    def _stream(self, number: int, reply: Reply, fault: Fault | None) -> None:
        self._send_head(reply, "transfer-encoding", "chunked")
        limit = fault.after_events if fault is not None else None
        for index, event in enumerate(reply.events or ()):
            if index == limit:
                if fault is None or fault.status is not None:
                    break
                with self.server.faults.hanging(fault):
                    if self.server.closing.is_set() or self._client_left():
                        self.close_connection = True
                        return
            self._chunk(number, reply, event)
        broken = fault is not None and fault.status is not None
        if broken and reply.breakage is None:
            self.close_connection = True
            return
        if fault is not None and broken and reply.breakage is not None:
            self._chunk(number, reply, reply.breakage(fault.status or 500))
        self.wfile.write(b"0\r\n\r\n")

    def _keep(self, number: int, reply: Reply, data: bytes) -> None:
        self.server.exchange_log.add_response(number, reply.headers.get("content-type", ""), data)

    def _chunk(self, number: int, reply: Reply, event: Event) -> None:
        self._keep(number, reply, event.data)
        if event.usage is not None:
            self.server.exchange_log.add_usage(number, event.usage)
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event.data), event.data))
        self.wfile.flush()

    def _client_left(self) -> bool:
        """Whether the client has hung up meanwhile: its socket is readable, with nothing in it."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep test output free of access logs; exchanges hold what happened."""
