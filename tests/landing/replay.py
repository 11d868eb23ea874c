"""Sends a recorded request again through today's SDK, and answers it with the recorded response."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from clew.cli.demo.replay_server import ApiResponse, serving
from tests.support.providers.recordings import Recording


@contextmanager
def answering(recording: Recording) -> Iterator[str]:
    """Answer every request with the recorded response; yield the server's URL."""
    response = ApiResponse(
        recording.status, {"content-type": recording.content_type}, recording.response
    )
    with serving(lambda _: response) as url:
        yield url


def sdk_for(recording: Recording) -> str:
    """Return the module of the SDK that sends such a request."""
    if "openai" in recording.host:
        return "openai"
    return "mistralai.client" if "mistral" in recording.host else "boto3"


def send_again(recording: Recording, url: str) -> None:
    """Send the recorded request through the SDK, and read the whole answer."""
    sdk = sdk_for(recording)
    body = json.loads(recording.request)
    if sdk == "openai":
        _openai(recording.path, body, url)
    elif sdk == "boto3":
        _bedrock(recording.path, body, url)
    else:
        _mistral(body, url, stream="#stream" in recording.path or body.get("stream", False))


def _openai(path: str, body: dict[str, Any], url: str) -> None:
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key="key", max_retries=0) as client:
        resource: Any = client
        for part in path.removeprefix("/v1/").split("/"):
            resource = getattr(resource, part)
        result = resource.create(**body)
        if body.get("stream"):
            list(result)


def _mistral(body: dict[str, Any], url: str, *, stream: bool) -> None:
    from mistralai.client import Mistral

    body.pop("stream", None)
    with Mistral(api_key="key", server_url=url) as client:
        if stream:
            list(client.chat.stream(**body))
        else:
            client.chat.complete(**body)


_ID = r"[^/]+"
_AGENT = rf"/agents/(?P<agentId>{_ID})/agentAliases/(?P<agentAliasId>{_ID})"
_OPERATIONS = (
    (r"/model/(?P<modelId>[^/]+)/converse", "bedrock-runtime", "converse"),
    (r"/model/(?P<modelId>[^/]+)/converse-stream", "bedrock-runtime", "converse_stream"),
    (r"/model/(?P<modelId>[^/]+)/invoke", "bedrock-runtime", "invoke_model"),
    (
        r"/model/(?P<modelId>[^/]+)/invoke-with-response-stream",
        "bedrock-runtime",
        "invoke_model_with_response_stream",
    ),
    (
        r"/guardrail/(?P<guardrailIdentifier>[^/]+)/version/(?P<guardrailVersion>[^/]+)/apply",
        "bedrock-runtime",
        "apply_guardrail",
    ),
    (
        rf"{_AGENT}/sessions/(?P<sessionId>{_ID})/text",
        "bedrock-agent-runtime",
        "invoke_agent",
    ),
    (r"/agents/(?P<sessionId>[^/]+)", "bedrock-agent-runtime", "invoke_inline_agent"),
    (r"/knowledgebases/(?P<knowledgeBaseId>[^/]+)/retrieve", "bedrock-agent-runtime", "retrieve"),
    (r"/retrieveAndGenerate", "bedrock-agent-runtime", "retrieve_and_generate"),
    (r"/retrieveAndGenerateStream", "bedrock-agent-runtime", "retrieve_and_generate_stream"),
)


def _bedrock(path: str, body: dict[str, Any], url: str) -> None:
    import boto3
    from botocore.config import Config

    service, method, named = next(
        (service, method, found.groupdict())
        for pattern, service, method in _OPERATIONS
        if (found := re.fullmatch(pattern, path.rstrip("/")))
    )
    client = boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
    labels = {name: unquote(value) for name, value in named.items()}
    given = {"body": json.dumps(body)} if method.startswith("invoke_model") else body
    for part in getattr(client, method)(**labels, **given).values():
        if hasattr(part, "read"):
            part.read()
        elif hasattr(part, "close"):
            list(part)
