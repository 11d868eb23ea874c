"""One user's conversation, each turn through another framework.

No key is needed: the provider is the one of the test-suite, a real HTTP server on loopback that
speaks the wire formats of OpenAI, Mistral and Bedrock.
"""

from collections.abc import Iterator

from tests.providers import ProviderServer

QUESTION = "Where does the thread lead?"


def turns(server: ProviderServer) -> Iterator[str]:
    """Take the turns one by one; yield what each was."""
    _openai(server)
    yield "OpenAI, streaming"
    _langchain(server)
    yield "LangChain, an agent with a tool"
    _bedrock(server)
    yield "Bedrock, converse"
    _mistral(server)
    yield "Mistral, chat"


def _openai(server: ProviderServer) -> None:
    import openai

    with openai.OpenAI(base_url=server.openai_url, api_key="none needed") as client:
        stream = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
        for _ in stream:
            pass


def _langchain(server: ProviderServer) -> None:
    from langchain.agents import create_agent
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"sunny in {city}"

    model = ChatOpenAI(model="gpt-4o-mini", base_url=server.openai_url, api_key="none needed")
    agent = create_agent(model, tools=[weather])
    agent.invoke({"messages": [{"role": "user", "content": "And the weather there?"}]})


def _bedrock(server: ProviderServer) -> None:
    import boto3

    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=server.bedrock_url,
        aws_access_key_id="none",
        aws_secret_access_key="needed",
    )
    message = {"role": "user", "content": [{"text": "How long is it?"}]}
    client.converse(modelId="amazon.nova-lite-v1:0", messages=[message])


def _mistral(server: ProviderServer) -> None:
    from mistralai.client import Mistral

    with Mistral(api_key="none needed", server_url=server.mistral_url) as client:
        client.chat.complete(
            model="mistral-small-latest", messages=[{"role": "user", "content": "Thank you."}]
        )
