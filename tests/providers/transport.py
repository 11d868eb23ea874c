"""HTTP/1.1 with keep-alive: requests are read and recorded, answers written, faults done."""

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

from tests.providers import bedrock_wire, mistral_wire, openai_wire, secrecy
from tests.providers.exchange import Event, Reply, Request

if TYPE_CHECKING:
    from tests.providers.faults import Fault, FaultPlan
    from tests.providers.ledger import Ledger

_BEDROCK_PATHS = (
    "/model/",
    "/agents/",
    "/knowledgebases/",
    "/retrieveAndGenerate",
    "/guardrail/",
)
_MISTRAL_MODELS = re.compile(r"(open-)?(mistral|mixtral|ministral|codestral|magistral|devstral)")


class Wire(Protocol):
    """What a provider's module offers: an answer to a request, and its way to state an error."""

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

    def __init__(self, ledger: Ledger, faults: FaultPlan) -> None:
        self.ledger = ledger
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
        """Clients of the tests hang up on purpose; that is no error worth a printed traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Transport

    def do_GET(self) -> None:
        """Any method: hang or fail if so ordered, else answer."""
        request = self._read()
        faults = self.server.faults
        fault = faults.take(request.path, mid_stream=False)
        number = self.server.ledger.open(request)
        if fault is not None and fault.status is None:
            with faults.hanging(fault):
                if self.server.closing.is_set() or self._client_left():
                    self.close_connection = True
                    return
                reply = self._decide(number, request, None)
        else:
            reply = self._decide(number, request, fault)
        if reply.events is None:
            self._send(reply)
        else:
            self._stream(number, reply, faults.take(request.path, mid_stream=True))

    def _decide(self, number: int, request: Request, fault: Fault | None) -> Reply:
        """The reply, recorded before its bytes go out: no client shall outrun its record."""
        wire = wire_of(request)
        if fault is not None and fault.status is not None:
            reply = wire.error(fault.status)
        else:
            reply = self._answered(wire, request)
        self.server.ledger.complete(
            number,
            status=reply.status,
            stream=reply.events is not None,
            usage=reply.usage,
            embedding_tokens=reply.embedding_tokens,
        )
        return reply

    do_POST = do_DELETE = do_PUT = do_PATCH = do_GET

    def _answered(self, wire: Wire, request: Request) -> Reply:
        """The wire's answer. If the wire itself fails, the test that brought it about must fail."""
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
            self._chunk(number, event)
        broken = fault is not None and fault.status is not None
        if broken and reply.breakage is None:
            self.close_connection = True
            return
        if fault is not None and broken and reply.breakage is not None:
            self._chunk(number, reply.breakage(fault.status or 500))
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, number: int, event: Event) -> None:
        if event.usage is not None:
            self.server.ledger.add_usage(number, event.usage)
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event.data), event.data))
        self.wfile.flush()

    def _client_left(self) -> bool:
        """Whether the client has hung up meanwhile: its socket is readable, with nothing in it."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep test output free of access logs; exchanges hold what happened."""
