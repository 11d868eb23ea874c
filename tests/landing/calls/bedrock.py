"""Bedrock through boto3."""

import json
from functools import partial

import pytest

from tests.landing.calls import cell
from tests.support.providers import ProviderServer

bedrock_cell = partial(cell, "bedrock", needs=("boto3",))

CLAUDE = "anthropic.claude-3-5-haiku-20241022-v1:0"
NOVA = "amazon.nova-lite-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
MESSAGES = [{"role": "user", "content": [{"text": "Where does the thread lead?"}]}]
CLAUDE_BODY = json.dumps(
    {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "Where does the thread lead?"}],
    }
)
WEATHER = {
    "tools": [
        {
            "toolSpec": {
                "name": "weather",
                "description": "The weather in a city",
                "inputSchema": {
                    "json": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}},
                        "required": ["city"],
                    }
                },
            }
        }
    ]
}


def client(server: ProviderServer, service: str = "bedrock-runtime", **config):
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=server.bedrock_url,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(**{"retries": {"total_max_attempts": 1}} | config),
    )


@bedrock_cell("sync")
def converse(server):
    response = client(server).converse(modelId=CLAUDE, messages=MESSAGES)
    assert response["output"]["message"]["content"]


@bedrock_cell("sync")
def invoke_model(server):
    response = client(server).invoke_model(modelId=CLAUDE, body=CLAUDE_BODY)
    assert json.loads(response["body"].read())["content"]


@bedrock_cell("sync")
def invoke_agent(server):
    agent = client(server, "bedrock-agent-runtime")
    response = agent.invoke_agent(
        agentId="AGENT12345",
        agentAliasId="ALIAS12345",
        sessionId="agent-session",
        inputText="Where does the thread lead?",
        enableTrace=True,
    )
    assert [event for event in response["completion"] if "chunk" in event]


@bedrock_cell("stream")
def converse_stream(server):
    response = client(server).converse_stream(modelId=CLAUDE, messages=MESSAGES)
    assert [event for event in response["stream"] if "metadata" in event]


@bedrock_cell("stream")
def invoke_model_stream(server):
    response = client(server).invoke_model_with_response_stream(modelId=CLAUDE, body=CLAUDE_BODY)
    assert len(list(response["body"])) > 1


@bedrock_cell("tools")
def converse_tools(server):
    runtime = client(server)
    first = runtime.converse(modelId=NOVA, messages=MESSAGES, toolConfig=WEATHER)
    message = first["output"]["message"]
    use = next(block["toolUse"] for block in message["content"] if "toolUse" in block)
    answer = {"toolUseId": use["toolUseId"], "content": [{"text": "sunny"}]}
    runtime.converse(
        modelId=NOVA,
        messages=[*MESSAGES, message, {"role": "user", "content": [{"toolResult": answer}]}],
        toolConfig=WEATHER,
    )


@bedrock_cell("embeddings")
def embeddings(server):
    body = json.dumps({"inputText": "one"})
    response = client(server).invoke_model(modelId=TITAN, body=body)
    assert json.loads(response["body"].read())["embedding"]


@bedrock_cell("structured")
def converse_forced_tool(server):
    forced = {**WEATHER, "toolChoice": {"tool": {"name": "weather"}}}
    response = client(server).converse(modelId=CLAUDE, messages=MESSAGES, toolConfig=forced)
    assert any("toolUse" in block for block in response["output"]["message"]["content"])


@bedrock_cell("error_4xx")
def bad_request(server):
    runtime = client(server)
    server.fail(400)
    with pytest.raises(runtime.exceptions.ValidationException):
        runtime.converse(modelId=CLAUDE, messages=MESSAGES)


@bedrock_cell("error_5xx")
def server_error(server):
    runtime = client(server)
    server.fail(500)
    with pytest.raises(runtime.exceptions.ClientError):
        runtime.converse(modelId=CLAUDE, messages=MESSAGES)


@bedrock_cell("error_5xx")
def stream_refused(server):
    runtime = client(server)
    server.fail(500)
    with pytest.raises(runtime.exceptions.ClientError):
        runtime.converse_stream(modelId=CLAUDE, messages=MESSAGES)


@bedrock_cell("error_5xx")
def stream_breaks_off(server):
    runtime = client(server)
    server.fail(500, after_events=2)
    response = runtime.converse_stream(modelId=CLAUDE, messages=MESSAGES)
    with pytest.raises(Exception, match=r"."):
        list(response["stream"])


@bedrock_cell("timeout")
def timeout(server):
    from botocore.exceptions import ReadTimeoutError

    server.hang()
    with pytest.raises(ReadTimeoutError):
        client(server, read_timeout=0.2).converse(modelId=CLAUDE, messages=MESSAGES)
    assert server.wait_for(1)  # Under load it may arrive after its client has gone.
    server.release()


@bedrock_cell("retry")
def retry(server):
    server.fail(503, times=1)
    response = client(server, retries={"total_max_attempts": 2, "mode": "standard"}).converse(
        modelId=CLAUDE, messages=MESSAGES
    )
    assert response["output"]
