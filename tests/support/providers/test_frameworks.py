"""Agents of the orchestrators run to their end against the provider server, on every wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.providers import ProviderServer

CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
QUESTION = "Please add 1 and 2"
ANSWER = "A short answer about Please add 1 and 2."


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def langchain_model(wire: str, server: ProviderServer) -> Any:
    if wire in ("openai", "responses"):
        openai = pytest.importorskip("langchain_openai")
        return openai.ChatOpenAI(
            model="gpt-4o-mini",
            base_url=server.openai_url,
            api_key="key",
            use_responses_api=wire == "responses",
        )
    if wire == "mistral":
        mistral = pytest.importorskip("langchain_mistralai")
        url = f"{server.mistral_url}/v1"
        return mistral.ChatMistralAI(model="mistral-small-latest", endpoint=url, api_key="key")
    aws = pytest.importorskip("langchain_aws")
    kind = aws.ChatBedrockConverse if wire == "converse" else aws.ChatBedrock
    return kind(model=CLAUDE, endpoint_url=server.bedrock_url, **KEYS)


def llamaindex_model(wire: str, server: ProviderServer) -> Any:
    if wire in ("openai", "responses"):
        openai = pytest.importorskip("llama_index.llms.openai")
        kind = openai.OpenAI if wire == "openai" else openai.OpenAIResponses
        return kind(model="gpt-4o-mini", api_base=server.openai_url, api_key="key")
    if wire == "mistral":
        mistral = pytest.importorskip("llama_index.llms.mistralai")
        url = server.mistral_url
        return mistral.MistralAI(model="mistral-small-latest", endpoint=url, api_key="key")
    bedrock = pytest.importorskip("llama_index.llms.bedrock_converse")
    return bedrock.BedrockConverse(model=CLAUDE, endpoint_url=server.bedrock_url, **KEYS)


@pytest.mark.parametrize("wire", ["openai", "responses", "mistral", "converse", "invoke"])
def test_langchain_agent(server: ProviderServer, wire: str) -> None:
    agents = pytest.importorskip("langchain.agents")
    agent = agents.create_agent(langchain_model(wire, server), [add])
    messages = agent.invoke({"messages": [("user", QUESTION)]})["messages"]
    assert [one.type for one in messages] == ["human", "ai", "tool", "ai"]
    assert messages[2].content == "2"
    assert messages[3].text == ANSWER
    counted = [one.usage_metadata["total_tokens"] for one in messages if one.type == "ai"]
    assert [one.usage.total for one in server.exchanges if one.usage] == counted


@pytest.mark.parametrize("wire", ["openai", "responses", "mistral", "converse", "invoke"])
def test_langchain_structured_agent(server: ProviderServer, wire: str) -> None:
    """An agent that must call some tool comes to an end: by the tool that holds its answer."""
    agents = pytest.importorskip("langchain.agents")
    structured = pytest.importorskip("langchain.agents.structured_output")
    schema = {"title": "Sum", "type": "object", "properties": {"total": {"type": "integer"}}}
    agent = agents.create_agent(
        langchain_model(wire, server),
        [add],
        response_format=structured.ToolStrategy(schema | {"description": "A sum."}),
    )
    found = agent.invoke({"messages": [("user", QUESTION)]})
    assert found["structured_response"] == {"total": 1}
    assert len(server.exchanges) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the framework's own
@pytest.mark.parametrize("wire", ["openai", "responses", "mistral", "converse"])
def test_llamaindex_agent(server: ProviderServer, wire: str) -> None:
    workflow = pytest.importorskip("llama_index.core.agent.workflow")
    agent = workflow.FunctionAgent(tools=[add], llm=llamaindex_model(wire, server))

    async def run() -> Any:
        return await agent.run(QUESTION)

    found = asyncio.run(run())
    assert [one.tool_name for one in found.tool_calls] == ["add"]
    assert str(found).endswith(ANSWER)
    assert [one.stream for one in server.exchanges] == [True, True]
