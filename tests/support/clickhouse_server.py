"""Speaks ClickHouse's HTTP protocol in front of chdb, for tests with the real driver.

    python -m tests.support.clickhouse_server FOLDER [CERTIFICATE]

It prints its port, and ends when its standard input does. Each request has a connection to chdb of
its own, so that its settings, its database and what its user may do are ClickHouse's own work.
"""

import re
import ssl
import subprocess
import sys
import zlib
from base64 import b64decode
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from struct import Struct
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

USERS = {
    "default": ("", ()),
    "writer": ("s3cret/of@writers", ()),
    # May read, and change how: what ClickHouse calls readonly = 2.
    "reader": ("reads only", (("readonly", "2"),)),
    # Somebody has set for them that an answer may be a part of itself.
    "hurried": (
        "a part will do",
        (
            ("max_rows_to_read", "10"),
            ("read_overflow_mode", "'break'"),
            ("skip_unavailable_shards", "1"),
        ),
    ),
    # May not even change settings.
    "guest": ("looks on", (("readonly", "1"),)),
    # The same, but an administrator has set what clew needs.
    "prepared": (
        "looks on",
        (
            ("join_use_nulls", "1"),
            ("aggregate_functions_null_for_empty", "1"),
            ("prefer_column_name_to_alias", "1"),
            ("cast_keep_nullable", "1"),
            ("union_default_mode", "'DISTINCT'"),
            ("except_default_mode", "'DISTINCT'"),
            ("intersect_default_mode", "'DISTINCT'"),
            ("session_timezone", "'UTC'"),
            ("readonly", "1"),
        ),
    ),
}
"""The users' names and passwords, and the settings that each begins with."""
_NO_SETTINGS = frozenset(
    {
        *("buffer_size", "client_protocol_version", "compress", "database", "decompress"),
        *("default_format", "enable_http_compression", "password", "query", "query_id"),
        *("quota_key", "role", "session_check", "session_id", "session_timeout", "user"),
        "wait_end_of_query",
    }
)
_FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_INSERT = re.compile(rb"\s*(INSERT INTO .*?)\s+FORMAT\s+(\w+)[ \t]*\n", re.DOTALL)
_BLOCK = Struct("<16xBII")
"""Before each block of ClickHouse's own compression: a checksum, how, and both lengths."""
_LZ4 = 0x82
_CODE = re.compile(r"Code: (\d+)")
_STATUSES = {60: 404, 81: 404, 241: 500, 394: 500, 516: 401}
_DENIED = "Code: 516. DB::Exception: Authentication failed: password is incorrect. "


def _named(sql, number):
    """Mark a query by its id, and have those that ask for ids look for the mark."""
    sql = sql.replace("query_id IN", "extract(query, '^/[*] (.*?) [*]/') IN")
    return f"/* {number} */ {sql}" if number else sql


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing: the test says what went wrong."""

    def do_GET(self):
        self._answer(b"")

    def do_POST(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b"".join(self._chunks())
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(self._unpacked(body))

    def _chunks(self):
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _unpacked(self, body):
        match self.headers.get("Content-Encoding"):
            case "gzip":
                return zlib.decompress(body, 31)
            case "lz4":
                import lz4.frame

                return lz4.frame.decompress(body)
            case "zstd":
                import zstandard

                return zstandard.ZstdDecompressor().decompressobj().decompress(body)
        own = "decompress=1" in self.path
        return b"".join(self._blocks(body)) if own else body

    @staticmethod
    def _blocks(body):
        """Yield what is in the blocks of ClickHouse's own compression, for ``decompress=1``."""
        import lz4.block

        while body:
            how, length, size = _BLOCK.unpack_from(body)
            if how != _LZ4:
                message = f"not compressed by LZ4, but {how}"
                raise ValueError(message)
            end = _BLOCK.size + length - 9  # The length is that of the last three as well.
            yield lz4.block.decompress(body[_BLOCK.size : end], uncompressed_size=size)
            body = body[end:]

    def _answer(self, body):
        address = urlsplit(self.path)
        given = dict(parse_qsl(address.query, keep_blank_values=True))
        if address.path == "/ping":
            self._whole(200, b"Ok.\n")
            return
        started = USERS.get(self._user(), (None, ()))[1] if self._user() else None
        if started is None:
            self._failed(f"{_DENIED}(AUTHENTICATION_FAILED)")
            return
        try:
            with closing(self.server.connect()) as connection:
                for name, value in started:
                    if name != "readonly":
                        connection.query(f"SET {name} = {value}")
                connection.query(f"USE `{given.get('database') or 'default'}`")
                for name, value in started:
                    if name == "readonly":
                        connection.query(f"SET {name} = {value}")
                for name, value in given.items():
                    if name not in _NO_SETTINGS:
                        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
                        connection.query(f"SET {name} = '{escaped}'")
                self._run(connection, given, body)
        except self.server.errors as error:
            self._failed(str(error))

    def _user(self):
        scheme, _, said = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            name, _, password = b64decode(said).decode().partition(":")
        else:
            name = self.headers.get("X-ClickHouse-User", "default")
            password = self.headers.get("X-ClickHouse-Key", "")
        return name if USERS.get(name, (None,))[0] == password else ""

    def _run(self, connection, given, body):
        sql = given.get("query", "")
        number = given.get("query_id")
        whole = sql.encode() + b"\n" + body if sql else body
        if insert := _INSERT.match(whole):
            begun = _named(insert[1].decode(), number)
            with connection.send_insert(begun, insert[2].decode()) as inserter:
                inserter.append(whole[insert.end() :])
                inserter.finish()
            self._whole(200, b"", number)
            return
        sql = whole.decode()
        form = given.get("default_format", "TabSeparated")
        if found := _FORMAT.search(sql):
            sql, form = sql[: found.start()], found[1]
        if re.match(r"\s*(SELECT|WITH)\b", sql, re.IGNORECASE):
            self._stream(connection.send_query(_named(sql, number), form), number, form)
        else:
            self._whole(200, connection.query(_named(sql, number), form).bytes(), number, form)

    def _stream(self, stream, number, form):
        """Send what comes as it comes; what fails in the middle is told in the body."""
        with closing(stream):
            parts = iter(stream)
            first = next(parts, None)
            self._head(200, number, form)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if first is not None:
                self._chunk(first.bytes())
            try:
                for part in parts:
                    self._chunk(part.bytes())
            except self.server.errors as error:
                self._chunk(str(error).encode())
            self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data):
        if data:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _head(self, status, number=None, form=None):
        self.send_response(status)
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Summary", "{}")
        if number:
            self.send_header("X-ClickHouse-Query-Id", number)
        if form:
            self.send_header("X-ClickHouse-Format", form)

    def _whole(self, status, body, number=None, form=None, code=None):
        self._head(status, number, form)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _failed(self, said):
        code = 1002
        if found := _CODE.search(said):
            code, said = int(found[1]), said[found.start() :]  # As ClickHouse itself begins.
        self._whole(_STATUSES.get(code, 400), said.encode(), code=str(code))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder, certificate):
        import chdb

        super().__init__(("127.0.0.1", 0), _Handler)
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            # Who does not trust it breaks off in the thread of that connection.
            options = {"server_side": True, "do_handshake_on_connect": False}
            self.socket = context.wrap_socket(self.socket, **options)
        self.errors = (chdb.ChdbError, RuntimeError, ValueError)
        self.connect = lambda: chdb.connect(folder)
        self.first = self.connect()  # The folder stays open.

    def handle_error(self, request, client_address):
        """Say nothing of those who break off."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _serve(folder, certificate=None):
    server = _Server(folder, certificate)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with suppress(OSError):
        sys.stdin.read()
    server.shutdown()
    server.first.close()


@contextmanager
def running(folder, certificate=None):
    """Run the server on *folder* in a process of its own; yield its port.

    With *certificate*, a file in PEM that has the key as well, it speaks TLS.
    """
    command = [sys.executable, "-m", "tests.support.clickhouse_server", str(folder)]
    command += [str(certificate)] if certificate else []
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
