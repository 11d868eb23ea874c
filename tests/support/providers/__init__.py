"""A provider server on loopback that speaks the wire formats of OpenAI, Mistral and AWS Bedrock.

Tests run the real SDKs against it, so what they exercise is the whole road: the SDK, its HTTP
client, the bytes on the wire and the SDK's own parsing. Nothing is mocked.
"""

from tests.support.providers.exchange import Exchange, Usage
from tests.support.providers.server import ProviderServer

__all__ = ["Exchange", "ProviderServer", "Usage"]
