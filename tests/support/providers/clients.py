"""Real SDK clients that talk to a provider server; a test is skipped where the SDK is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.providers.server import ProviderServer


def openai_client(server: ProviderServer) -> Any:
    openai = pytest.importorskip("openai")
    return openai.OpenAI(base_url=server.openai_url, api_key="key")


def mistral_client(server: ProviderServer) -> Any:
    sdk = pytest.importorskip("mistralai.client")
    return sdk.Mistral(api_key="key", server_url=server.mistral_url)


def bedrock_client(server: ProviderServer, service: str = "bedrock-runtime") -> Any:
    """A boto3 client that tries once: its own waits between retries would be real time."""
    boto3 = pytest.importorskip("boto3")
    config = pytest.importorskip("botocore.config")
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=server.bedrock_url,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=config.Config(retries={"total_max_attempts": 1}),
    )
