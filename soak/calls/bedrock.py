"""Bedrock through boto3."""

import json

from soak.calls import TIMEOUT, call
from tests.landing.calls import bedrock


def client(provider):
    retries = {"total_max_attempts": 2}
    return bedrock.client(provider, retries=retries, read_timeout=TIMEOUT)


def said(question):
    return [{"role": "user", "content": [{"text": question}]}]


def body(question):
    return json.dumps(
        {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 64,
            "messages": [{"role": "user", "content": question}],
        }
    )


@call("bedrock", "call")
def converse(provider, question):
    answer = provider.kept(client).converse(modelId=bedrock.NOVA, messages=said(question))
    return answer["output"]["message"]["content"][0]["text"]


@call("bedrock", "call")
def invoke_model(provider, question):
    answer = provider.kept(client).invoke_model(modelId=bedrock.CLAUDE, body=body(question))
    return json.loads(answer["body"].read())["content"][0]["text"]


@call("bedrock", "stream")
def converse_stream(provider, question):
    asked = {"modelId": bedrock.CLAUDE, "messages": said(question)}
    return provider.kept(client).converse_stream(**asked)["stream"]


@call("bedrock", "stream")
def invoke_model_stream(provider, question):
    asked = {"modelId": bedrock.CLAUDE, "body": body(question)}
    return provider.kept(client).invoke_model_with_response_stream(**asked)["body"]
