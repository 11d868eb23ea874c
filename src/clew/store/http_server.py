"""A small HTTP server for the receiver, of Python's own: for `clew collect`, on loopback."""

import logging
import socket
import sys
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from socketserver import TCPServer
from threading import Condition
from typing import Any

from clew.core.containment import contain
from clew.store.http_body import (
    BodyError,
    Memory,
    TimedInput,
    has_body,
    read_body,
)
from clew.store.listening import addresses
from clew.store.receiver import Receiver, Response, failure, in_origin_form, lowercased

logger = logging.getLogger("clew")

HOST, PORT = "127.0.0.1", 4318
"""Where OpenTelemetry's exporters send to, unless told otherwise."""
_LONGEST_LINE = 65536
_LINGER_SECONDS = 2
_GRACE_SECONDS = 5


class OtlpServer(ThreadingHTTPServer):
    """Serves a receiver, each connection in a thread.

    A request has to arrive within *patience* seconds. Of more than *max_connections* connections
    the newest are refused.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    # On Windows it would let another process take over the port.
    allow_reuse_address = sys.platform != "win32"

    def __init__(
        self,
        receiver: Receiver,
        address: tuple[str, int] = (HOST, PORT),
        *,
        patience: float = 30,
        max_connections: int = 128,
    ) -> None:
        self.receiver = receiver
        self.patience = patience
        self.memory = Memory(receiver.max_bytes)
        self._max_connections = max_connections
        self._connections: set[socket.socket] = set()
        self._answering: set[socket.socket] = set()
        self._changed = Condition()
        self.address_family, place = addresses(*address)[0]
        super().__init__(place, _Handler)

    @property
    def is_crowded(self) -> bool:
        """Whether connections are closed after an answer, so that there is room for others."""
        return len(self._connections) > self._max_connections * 3 // 4

    def answering(self, connection: socket.socket, *, now: bool) -> None:
        """Note that a request of *connection* is being answered, or no longer is."""
        with self._changed:
            (self._answering.add if now else self._answering.discard)(connection)
            self._changed.notify_all()

    def server_bind(self) -> None:
        """Listen, without looking up a name for the address, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer *request* in a thread, if there are not too many."""
        with self._changed:
            if accepted := len(self._connections) < self._max_connections:
                self._connections.add(request)
        if accepted:
            try:
                super().process_request(request, client_address)
            except BaseException:  # No thread can be started.
                self._connections.discard(request)
                raise
            return
        with suppress(OSError):
            request.settimeout(0)
            request.sendall(
                b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer the requests of one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._connections.discard(request)
                self._answering.discard(request)
                self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what a connection failed at, instead of printing it."""
        if isinstance(error := sys.exception(), OSError):
            logger.debug("A client of clew's OTLP receiver has gone: %s", error)
        else:
            contain("receiving spans")

    def server_close(self) -> None:
        """Close all connections, after the requests that are being answered."""
        super().server_close()
        with self._changed:
            self._changed.wait_for(lambda: not self._answering, timeout=_GRACE_SECONDS)
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._connections, timeout=_GRACE_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "clew", ""
    server: OtlpServer

    def setup(self) -> None:
        super().setup()
        self._input = TimedInput(self.connection)
        self.rfile = BufferedReader(self._input)  # type: ignore[type-var] # it is a RawIOBase
        self._is_told_to_continue = True

    def handle_one_request(self) -> None:
        try:
            self._input.allow(self.server.patience)
            self.raw_requestline = self.rfile.readline(_LONGEST_LINE + 1)
            if not self.raw_requestline:
                self.close_connection = True
            elif len(self.raw_requestline) > _LONGEST_LINE:
                self.requestline = self.command = ""
                self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            elif self.parse_request():
                self._answer()
        except TimeoutError:
            self.close_connection = True

    def handle_expect_100(self) -> bool:
        # It is answered when nothing but the body can still be refused.
        self._is_told_to_continue = False
        return True

    def _answer(self) -> None:
        headers = lowercased(dict(self.headers))
        host, path = in_origin_form(self.path.partition("?")[0])
        receiver = self.server.receiver
        refusal = receiver.refusal(self.command, path, headers)
        if host is not None and refusal is None:
            refusal = receiver.refusal(self.command, path, {**headers, "host": host})
        if refusal:
            self._send(refusal, unread=has_body(self.headers))
            return
        try:
            with read_body(
                self.rfile, self.headers, self.server.memory, self._tell_to_continue
            ) as body:
                self.server.answering(self.connection, now=True)
                self._send(receiver(self.command, path, headers, body))
        except BodyError as error:
            self._send(receiver.unread(error, headers), unread=True)
        finally:
            self.server.answering(self.connection, now=False)

    def _tell_to_continue(self) -> None:
        if not self._is_told_to_continue:
            self._is_told_to_continue = True
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()

    def _send(self, response: Response, *, unread: bool = False) -> None:
        """Send *response*. If the body is still to come, the connection cannot be used again."""
        if unread or self.server.is_crowded:
            self.close_connection = True
        self.connection.settimeout(self.server.patience)
        # Until a request is read the base takes it for one of HTTP 0.9, which has no status.
        self.request_version = self.protocol_version
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        if unread:
            self._linger()

    def _linger(self) -> None:
        """Read what still comes: a client that is sending would otherwise miss the answer."""
        self._input.allow(_LINGER_SECONDS)
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while self.rfile.read1(_LONGEST_LINE):
                pass

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no HTTP request."""
        text = message or explain or HTTPStatus(code).phrase
        self._send(failure(HTTPStatus(code), text, {}), unread=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base
        logger.debug(f"OTLP receiver: {format}", *args)  # noqa: G004 - the base makes the format
