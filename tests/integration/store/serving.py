"""Runs the OTLP server for a test, and speaks to it through bare sockets."""

import select
import socket
import struct
from contextlib import contextmanager
from threading import Condition, Thread

from clew.store.http_server import OtlpServer
from clew.store.receiver import Receiver


class Kept:
    """A store that keeps spans in memory."""

    def __init__(self):
        self.records = []
        self._more = Condition()

    def __call__(self, records):
        with self._more:
            self.records += records
            self._more.notify_all()

    def wait(self, number):
        """Return the spans, once there are *number* of them."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.records) >= number, timeout=30)
        return self.records


@contextmanager
def serving(store, *, max_bytes=2**20, **options):
    """An OTLP server on a free port of loopback that gives spans to *store*."""
    receiver = Receiver(store, max_bytes=max_bytes)
    server = OtlpServer(receiver, ("127.0.0.1", 0), **options)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Connection:
    """A connection over which bytes are sent as they are given."""

    def __init__(self, server, timeout=20):
        self._socket = socket.create_connection(server.server_address, timeout=timeout)
        self._answers = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._answers.close()
        self._socket.close()

    def send(self, *parts):
        for part in parts:
            self._socket.sendall(part)

    def end(self):
        """Say that nothing more comes."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Break off, without a word."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._answers.close()
        self._socket.close()

    def is_answered(self, within):
        """Whether something is there to be read before *within* seconds are over."""
        return bool(select.select([self._socket], [], [], within)[0])

    def answer(self):
        """The next answer: its status, headers and body."""
        status = int(self._answers.readline().split()[1])
        headers = {}
        while line := self._answers.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self._answers.read(int(headers.get("content-length", 0)))

    def is_closed(self):
        """Whether the server has closed it; waits until it says something."""
        try:
            return self._answers.read(1) == b""
        except ConnectionResetError:
            return True


def head(*headers, method="POST", path="/v1/traces", media_type="application/x-protobuf"):
    """The head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Type: {media_type}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def whole(body, *headers, **how):
    """A request with its body."""
    return head(f"Content-Length: {len(body)}", *headers, **how) + body


def chunked(*pieces):
    """A request with its body in chunks."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head("Transfer-Encoding: chunked") + chunks + b"0\r\n\r\n"
