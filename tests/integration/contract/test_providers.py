"""The test server's responses, compared with real SDKs and with recordings of real traffic.

The comparison with recordings runs where CLEW_RECORDINGS names a folder of vcrpy cassettes.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.providers import ProviderServer, Usage, clients
from tests.support.providers.allowances import AGENTS_LIKE, ALLOWANCES
from tests.support.providers.recordings import Recording, differences, events, load

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "A short answer about What is the capital of France."
BLOCKS = [{"role": "user", "content": [{"text": "What is the capital of France?"}]}]
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}},
    "required": ["city"],
}
WEATHER_CALL = {"city": "word", "unit": "celsius"}
FUNCTION = {"name": "weather", "description": "The weather in a city.", "parameters": WEATHER}
TOOLS: list[Any] = [{"type": "function", "function": FUNCTION}]
TOOL_CONFIG = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": WEATHER}}}]}
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
CLAUDE_BODY = json.dumps({"messages": QUESTION, "max_tokens": 99, "anthropic_version": "x"})


class TestOpenAI:
    def test_chat(self, server: ProviderServer, openai_client: Any) -> None:
        found = openai_client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
        assert found.choices[0].message.content == ANSWER
        assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
        assert server.usage.total == found.usage.total_tokens > 0
        exchange = server.exchanges[0]
        assert (exchange.method, exchange.path) == ("POST", "/v1/chat/completions")
        assert (exchange.status, exchange.stream) == (200, False)
        assert exchange.headers["authorization"] == "Bearer key"
        assert exchange.body["messages"] == json.loads(exchange.raw)["messages"] == QUESTION

    def test_chat_of_an_async_client(self, server: ProviderServer) -> None:
        openai = pytest.importorskip("openai")

        async def ask() -> list[Any]:
            async with openai.AsyncOpenAI(base_url=server.openai_url, api_key="key") as client:
                create = client.chat.completions.create
                calls = [create(model="gpt-4o-mini", messages=QUESTION, n=2) for _ in range(8)]
                return await asyncio.gather(*calls)

        found = asyncio.run(ask())
        assert [len(one.choices) for one in found] == [2] * 8
        assert server.usage.total == sum(one.usage.total_tokens for one in found)

    def test_chat_stream(self, server: ProviderServer, openai_client: Any) -> None:
        chunks = list(
            openai_client.chat.completions.create(
                model="gpt-4o-mini",
                messages=QUESTION,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == ANSWER
        assert server.usage.total == chunks[-1].usage.total_tokens > 0
        assert server.exchanges[0].stream

    def test_stream_without_usage_counts_none(
        self, server: ProviderServer, openai_client: Any
    ) -> None:
        create = openai_client.chat.completions.create
        list(create(model="gpt-4o-mini", messages=QUESTION, stream=True))
        assert server.usage == Usage()

    @pytest.mark.parametrize("streamed", [False, True])
    def test_tools(self, openai_client: Any, *, streamed: bool) -> None:
        create = openai_client.chat.completions.create
        request = {"model": "gpt-4o-mini", "tools": TOOLS, "stream": streamed}
        found = create(messages=QUESTION, **request)
        if streamed:
            deltas = [one.choices[0].delta for one in found]
            calls = [call for one in deltas for call in one.tool_calls or []]
            identity, name = calls[0].id, calls[0].function.name
            arguments = "".join(call.function.arguments for call in calls)
            assert len(calls) > 3
        else:
            call = found.choices[0].message.tool_calls[0]
            identity, name, arguments = call.id, call.function.name, call.function.arguments
        assert (name, json.loads(arguments)) == ("weather", WEATHER_CALL)
        result = {"role": "tool", "tool_call_id": identity, "content": "sunny"}
        ended = create(messages=[*QUESTION, result], **request | {"stream": False})
        assert ended.choices[0].finish_reason == "stop"

    @pytest.mark.parametrize(
        ("choice", "answered", "called"),
        [("none", False, None), ("required", False, "weather"), ("required", True, "finish")],
    )
    def test_tool_choice(
        self, openai_client: Any, choice: str, called: str | None, *, answered: bool
    ) -> None:
        result = [{"role": "tool", "tool_call_id": "call_1", "content": "sunny"}]
        found = openai_client.chat.completions.create(
            model="gpt-4o-mini",
            messages=QUESTION + (result if answered else []),
            tools=[*TOOLS, {"type": "function", "function": {"name": "finish"}}],
            tool_choice=choice,
        )
        calls = found.choices[0].message.tool_calls or []
        assert [call.function.name for call in calls] == ([called] if called else [])

    def test_parse(self, openai_client: Any) -> None:
        pydantic = pytest.importorskip("pydantic")
        city = pydantic.create_model("City", name=(str, ...), people=(int, ...))
        chat = openai_client.chat.completions.parse(
            model="gpt-4o-mini", messages=QUESTION, response_format=city
        )
        response = openai_client.responses.parse(
            model="gpt-4o-mini", input="Which city?", text_format=city
        )
        assert chat.choices[0].message.parsed.people == response.output_parsed.people == 1

    def test_responses(self, server: ProviderServer, openai_client: Any) -> None:
        found = openai_client.responses.create(
            model="gpt-4o-mini", input="Hello", previous_response_id="resp_1", conversation="conv_1"
        )
        assert found.output_text == "A short answer about Hello."
        assert (found.previous_response_id, found.conversation.id) == ("resp_1", "conv_1")
        assert server.usage.total == found.usage.total_tokens > 0

    def test_responses_stream(self, server: ProviderServer, openai_client: Any) -> None:
        tool = {"type": "function", **FUNCTION}
        create = openai_client.responses.create
        stream = list(create(model="gpt-4o-mini", input="Hello", tools=[tool], stream=True))
        assert (stream[0].type, stream[-1].type) == ("response.created", "response.completed")
        assert [one.sequence_number for one in stream] == list(range(len(stream)))
        call = stream[-1].response.output[0]
        assert (call.name, json.loads(call.arguments)) == ("weather", WEATHER_CALL)
        assert server.usage.total == stream[-1].response.usage.total_tokens

    def test_embeddings(self, server: ProviderServer, openai_client: Any) -> None:
        create = openai_client.embeddings.create
        packed = create(model="text-embedding-3-small", input=["one", "two"])
        plain = create(model="text-embedding-3-small", input="one", encoding_format="float")
        assert len(plain.data[0].embedding) == 8
        assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding)
        assert packed.data[0].embedding != packed.data[1].embedding
        assert server.embedding_tokens == 3
        assert server.usage == Usage()

    def test_cached_and_reasoning_tokens(self, server: ProviderServer, openai_client: Any) -> None:
        create = openai_client.chat.completions.create
        found = create(model="cached-reasoner", messages=QUESTION).usage
        assert server.usage.cached == found.prompt_tokens_details.cached_tokens > 0
        assert server.usage.reasoning == found.completion_tokens_details.reasoning_tokens > 0

    def test_unknown_path(self, openai_client: Any) -> None:
        openai = pytest.importorskip("openai")
        with pytest.raises(openai.NotFoundError, match="Invalid URL"):
            openai_client.get("/nowhere", cast_to=object)


class TestMistral:
    def test_chat(self, server: ProviderServer, mistral: Any) -> None:
        found = mistral.chat.complete(model="mistral-small-latest", messages=QUESTION)
        assert found.choices[0].message.content == ANSWER
        assert server.usage.total == found.usage.total_tokens > 0

    def test_chat_of_an_async_client(self, server: ProviderServer, mistral: Any) -> None:
        async def ask() -> str:
            stream = await mistral.chat.stream_async(model="mistral-small", messages=QUESTION)
            return "".join([one.data.choices[0].delta.content async for one in stream])

        assert asyncio.run(ask()) == ANSWER
        assert server.usage.total > 0

    def test_tools_in_a_stream(self, mistral: Any) -> None:
        stream = list(mistral.chat.stream(model="mistral-small", messages=QUESTION, tools=TOOLS))
        choice = stream[-1].data.choices[0]
        call = choice.delta.tool_calls[0]
        assert choice.finish_reason == "tool_calls"
        assert json.loads(call.function.arguments) == WEATHER_CALL
        assert len(call.id) == 9

    def test_conversations(self, server: ProviderServer, mistral: Any) -> None:
        pytest.importorskip("mistralai.client.conversations")
        conversations = mistral.beta.conversations
        started = conversations.start(model="mistral-small-latest", inputs="Hello")
        assert started.outputs[0].content == "A short answer about Hello."
        stream = conversations.append_stream(
            conversation_id=started.conversation_id, inputs="Hello"
        )
        kinds = [one.event for one in stream]
        assert kinds[0] == "conversation.response.started"
        assert kinds[-1] == "conversation.response.done"
        assert server.exchanges[1].path.endswith(started.conversation_id)
        assert server.usage.total == 2 * started.usage.total_tokens

    def test_other_endpoints(self, server: ProviderServer, mistral: Any) -> None:
        code = mistral.fim.complete(model="codestral-latest", prompt="def", suffix="return")
        assert code.choices[0].message.content == "A short answer about def."
        agent = mistral.agents.complete(agent_id="agent", messages=QUESTION)
        assert agent.choices[0].message.content == ANSWER
        embedded = mistral.embeddings.create(model="mistral-embed", inputs=["one", "two"])
        assert server.embedding_tokens == embedded.usage.total_tokens == 2
        document = {"type": "document_url", "document_url": "https://example.com/a.pdf"}
        assert mistral.ocr.process(model="mistral-ocr-latest", document=document).pages[0].markdown


class TestBedrock:
    def test_converse(self, server: ProviderServer, bedrock: Any) -> None:
        found = bedrock.converse(modelId=CLAUDE, messages=BLOCKS)
        assert found["output"]["message"]["content"] == [{"text": ANSWER}]
        assert server.usage.total == found["usage"]["totalTokens"] > 0
        assert server.exchanges[0].path == f"/model/{CLAUDE}/converse"

    def test_converse_stream_with_tools(self, server: ProviderServer, bedrock: Any) -> None:
        found = bedrock.converse_stream(modelId=CLAUDE, messages=BLOCKS, toolConfig=TOOL_CONFIG)
        stream = list(found["stream"])
        deltas = [one["contentBlockDelta"]["delta"] for one in stream if "contentBlockDelta" in one]
        arguments = "".join(one["toolUse"]["input"] for one in deltas)
        assert json.loads(arguments) == WEATHER_CALL
        assert server.usage.total == stream[-1]["metadata"]["usage"]["totalTokens"] > 0

    @pytest.mark.parametrize(
        ("model", "body", "field"),
        [
            (CLAUDE, CLAUDE_BODY, "content"),
            ("amazon.nova-micro-v1:0", json.dumps({"messages": BLOCKS}), "output"),
            ("amazon.titan-text-express-v1", '{"inputText": "Hello"}', "results"),
            ("meta.llama3-8b-instruct-v1:0", '{"prompt": "Hello"}', "generation"),
            ("amazon.titan-embed-text-v2:0", '{"inputText": "Hello"}', "embedding"),
        ],
    )
    def test_invoke(
        self, server: ProviderServer, bedrock: Any, model: str, body: str, field: str
    ) -> None:
        whole = json.loads(bedrock.invoke_model(modelId=model, body=body)["body"].read())
        assert whole[field]
        if field == "embedding":
            assert (server.embedding_tokens, server.usage) == (1, Usage())
            return
        once = server.usage
        stream = bedrock.invoke_model_with_response_stream(modelId=model, body=body)["body"]
        chunks = [json.loads(one["chunk"]["bytes"]) for one in stream]
        metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
        assert metrics["inputTokenCount"] + metrics["outputTokenCount"] == once.total > 0
        assert server.usage == once + once

    @pytest.mark.parametrize("traced", [False, True])
    def test_agent(self, server: ProviderServer, *, traced: bool) -> None:
        with contextlib.closing(clients.bedrock_client(server, "bedrock-agent-runtime")) as client:
            found = client.invoke_agent(
                agentId="TOOL-AGENT",
                agentAliasId="ALIAS",
                sessionId="session",
                inputText="Hello",
                enableTrace=traced,
            )
            stream = list(found["completion"])
        assert stream[-1]["chunk"]["bytes"] == b"A short answer about Hello."
        steps = [one["trace"]["trace"]["orchestrationTrace"] for one in stream[:-1]]
        outputs = [s["modelInvocationOutput"] for s in steps if "modelInvocationOutput" in s]
        blocks = [one["metadata"]["usage"] for one in outputs]
        assert len(blocks) == (2 if traced else 0)
        assert server.usage.total == sum(b["inputTokens"] + b["outputTokens"] for b in blocks)


class TestDSPy:
    @pytest.mark.parametrize("adapter", ["ChatAdapter", "JSONAdapter", "XMLAdapter"])
    @pytest.mark.parametrize("engine", [None, "litellm"])
    def test_programs_make_no_extra_calls(
        self,
        server: ProviderServer,
        monkeypatch: pytest.MonkeyPatch,
        engine: str | None,
        adapter: str,
    ) -> None:
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "true")
        dspy = pytest.importorskip("dspy")
        chosen = {"engine": engine} if engine else {}
        lm = dspy.LM(
            "openai/gpt-4o-mini", api_base=server.openai_url, api_key="key", cache=False, **chosen
        )

        def add(x: int, y: int) -> int:
            """Add two numbers."""
            return x + y

        with dspy.context(lm=lm, adapter=getattr(dspy, adapter)()):
            thought = dspy.ChainOfThought("question -> score: int, tags: list[str]")
            assert thought(question="How many?").score == 1
            assert len(server.exchanges) == 1
            agent = dspy.ReAct("question -> answer", tools=[add])
            trajectory = agent(question="What is 1 + 1?").trajectory
        assert (trajectory["tool_name_0"], trajectory["observation_0"]) == ("add", 2)
        assert trajectory["tool_name_1"] == "finish"
        assert len(server.exchanges) == 4

    def test_an_agent_that_submits(self, server: ProviderServer) -> None:
        dspy = pytest.importorskip("dspy")
        if not hasattr(dspy, "ReActV2"):
            pytest.skip("this DSPy has no such agent")
        lm = dspy.LM("openai/gpt-4o-mini", api_base=server.openai_url, api_key="key", cache=False)
        with dspy.context(lm=lm):
            agent = dspy.ReActV2("question -> answer", tools=[dspy.Tool(lambda x: x, name="echo")])
            assert agent(question="What is 1 + 1?").termination_reason == "submit"
        assert len(server.exchanges) == 2


def recordings() -> list[Recording]:
    folder = os.environ.get("CLEW_RECORDINGS")
    return list(load(Path(folder))) if folder else []


def observed_differences(server: ProviderServer, recording: Recording) -> list[str]:
    """Send a recorded request to our server, and compare the two responses."""
    if recording.status >= 400:
        server.fail(recording.status)
    path = recording.path
    for part, agent in AGENTS_LIKE.items():
        if part in recording.name:
            path = re.sub("^/agents/[^/]+/agentAliases", f"/agents/{agent}/agentAliases", path)
    host = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    headers = {"content-type": "application/json", "user-agent": recording.host}
    connection.request("POST", path, recording.request, headers)
    response = connection.getresponse()
    body, content_type = response.read(), response.headers.get("content-type", "")
    connection.close()
    assert response.status == recording.status, body
    media, recorded_media = (t.partition(";")[0] for t in (content_type, recording.content_type))
    assert media == recorded_media
    recorded = events(recording.content_type, recording.response)
    return differences(recorded, events(content_type, body))


@pytest.mark.skipif("CLEW_RECORDINGS" not in os.environ, reason="no recordings at hand")
class TestRecordings:
    @pytest.mark.parametrize("recording", recordings(), ids=lambda one: one.name)
    def test_same_shape(self, server: ProviderServer, recording: Recording) -> None:
        pytest.importorskip("botocore")
        found = observed_differences(server, recording)
        assert [
            one for one in found if not any(a.allows(recording.name, one) for a in ALLOWANCES)
        ] == []

    def test_no_allowance_is_out_of_date(self, server: ProviderServer) -> None:
        pytest.importorskip("botocore")
        unused = set(ALLOWANCES)
        for recording in recordings():
            for difference in observed_differences(server, recording):
                unused -= {one for one in ALLOWANCES if one.allows(recording.name, difference)}
        assert unused == set()
