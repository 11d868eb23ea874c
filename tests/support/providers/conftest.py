"""The fixtures of the provider server's own tests."""

from tests.support.providers.fixtures import bedrock, mistral, openai_client, server

__all__ = ["bedrock", "mistral", "openai_client", "server"]
