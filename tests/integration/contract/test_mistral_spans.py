"""clew's spans for Mistral's endpoints that upstream does not trace, and still does not."""

import pytest

CALLS = """
    import asyncio, json
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from openinference.instrumentation import TraceConfig, suppress_tracing, using_session
    from openinference.instrumentation.mistralai import MistralAIInstrumentor
    from openinference.semconv.trace import SpanAttributes
    from clew.core import containment
    from clew import instrument_all, uninstrument_all
    from tests.landing.calls.mistralai import (
        CODE, DOCUMENT, JUDGE, MESSAGES, MODEL, OCR, SOUND, TALK, client
    )
    from tests.landing.calls.openai import WEATHER
    from tests.support.providers import ProviderServer

    containment.reraise = True
    memory = InMemorySpanExporter()
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))
    server = ProviderServer().start()
    mistral = client(server)
    talk, judge = mistral.beta.conversations, mistral.classifiers
    transcriptions = mistral.audio.transcriptions
    APPEND = {"conversation_id": "conv_1", "inputs": "And then?"}
    RESTART = APPEND | {"from_entry_id": "msg_1"}
    EMBED = {"model": "mistral-embed", "inputs": ["one", "two"]}
    METHODS = [  # with the arguments, the kind of the span, and the tokens that it states
        (mistral.fim.complete, CODE, "LLM", "usage"),
        (mistral.fim.stream, CODE, "LLM", "usage"),
        (mistral.embeddings.create, EMBED, "EMBEDDING", "embedding_tokens"),
        (talk.start, TALK, "LLM", "usage"),
        (talk.append, APPEND, "LLM", "usage"),
        (talk.restart, RESTART, "LLM", "usage"),
        (talk.start_stream, TALK, "LLM", "usage"),
        (talk.append_stream, APPEND, "LLM", "usage"),
        (talk.restart_stream, RESTART, "LLM", "usage"),
        (mistral.ocr.process, OCR, "LLM", None),
        (judge.moderate, {"model": JUDGE, "inputs": ["one"]}, "GUARDRAIL", None),
        (judge.moderate_chat, {"model": JUDGE, "inputs": MESSAGES}, "GUARDRAIL", None),
        (judge.classify, {"model": "mine", "inputs": "one"}, "GUARDRAIL", None),
        (judge.classify_chat, {"model": "mine", "input": {"messages": MESSAGES}},
         "GUARDRAIL", None),
        (transcriptions.complete, SOUND, "LLM", "usage"),
        (transcriptions.stream, SOUND, "LLM", "usage"),
    ]

    def call(method, arguments):
        answer = getattr(method.__self__, method.__name__)(**arguments)  # as it is by now
        if method.__name__.endswith("stream"):
            with answer as events:
                assert len(list(events)) > 1
        return answer

    def call_async(method, arguments):
        async def main():
            name = method.__name__
            async with client(server) as fresh:
                owner = fresh
                for part in PATHS[type(method.__self__).__name__].split("."):
                    owner = getattr(owner, part)
                answer = await getattr(owner, f"{name}_async")(**arguments)
                if name.endswith("stream"):
                    async with answer as events:
                        assert len([event async for event in events]) > 1
        asyncio.run(main())

    PATHS = {"Fim": "fim", "Embeddings": "embeddings", "Conversations": "beta.conversations",
             "Ocr": "ocr", "Classifiers": "classifiers", "Transcriptions": "audio.transcriptions"}

    def spans_of(do, *arguments):
        memory.clear()
        server.clear()
        do(*arguments)
        return [span for span in memory.get_finished_spans()
                if span.instrumentation_scope.name == "openinference.instrumentation.mistralai"]

    def attributes_of(do, *arguments):
        (span,) = spans_of(do, *arguments)
        return dict(span.attributes)
"""


@pytest.fixture
def mistral(python, monkeypatch, request):
    """Run code after the setup above, in a new interpreter."""
    pytest.importorskip("mistralai.client")
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    return lambda code: python(CALLS + code)


def test_each_call_has_one_span_with_kind_and_tokens(mistral):
    mistral("""
    names = {it for it in vars(SpanAttributes).values() if isinstance(it, str)}
    for _ in range(2):
        instrument_all()
        for method, arguments, kind, tokens in METHODS:
            for do in (call, call_async):
                (span,) = spans_of(do, method, arguments)
                found = span.attributes
                at = (method, found)
                prefix = "embedding" if kind == "EMBEDDING" else "llm"
                assert span.status.is_ok, at
                assert span.name.startswith(
                    "MistralAsyncClient." if do is call_async else "MistralClient."), span.name
                assert found["openinference.span.kind"] == kind, at
                assert found["llm.provider"] == found["llm.system"] == "mistralai", at
                assert found[f"{prefix}.model_name"] == arguments.get(
                    "model", "mistral-large-latest"), at
                assert found["input.mime_type"] == found["output.mime_type"] == "application/json"
                assert json.loads(found["input.value"]).keys() == arguments.keys(), at
                assert json.loads(found["output.value"]), at
                parameters = json.loads(found[f"{prefix}.invocation_parameters"])
                assert parameters.get("model") == arguments.get("model"), at
                assert not {"inputs", "prompt", "suffix", "file", "document"} & {*parameters}, at
                assert (kind == "LLM") is ("llm.output_messages.0.message.role" in found), at
                if tokens:
                    stated = getattr(server, tokens)
                    assert found["llm.token_count.total"] == getattr(stated, "total", stated) > 0
                    assert found["llm.token_count.prompt"] == getattr(stated, "prompt", stated)
                    assert found["llm.token_count.completion"] == getattr(stated, "completion", 0)
                plain = {it for it in found if not any(char.isdigit() for char in it)}
                assert plain <= names | {"session.id"}, plain - names
        uninstrument_all()
        assert not any(spans_of(call, *it[:2]) for it in METHODS)
    """)


def test_upstream_still_does_not_trace_these_calls(mistral):
    mistral("""
    MistralAIInstrumentor().instrument()
    assert len(spans_of(call, mistral.chat.complete, {"model": MODEL, "messages": MESSAGES})) == 1
    traced = [it[0] for it in METHODS if spans_of(call, *it[:2])]
    assert not traced, traced
    """)


def test_input_and_output_attributes(mistral):
    mistral("""
    instrument_all()
    code = attributes_of(call, mistral.fim.complete, CODE)
    assert code["llm.input_messages.0.message.content"] == CODE["prompt"]
    assert code["llm.input_messages.1.message.content"] == CODE["suffix"]
    assert code["llm.output_messages.0.message.content"].startswith("A short answer")
    assert code["llm.finish_reason"] == "stop"
    streamed = attributes_of(call, mistral.fim.stream, CODE)
    same = {"llm.output_messages.0.message.content", "llm.finish_reason", "llm.token_count.total"}
    assert {key: streamed[key] for key in same} == {key: code[key] for key in same}

    found = attributes_of(call, mistral.fim.complete, CODE | {"model": "cached-codestral"})
    assert found["llm.token_count.prompt_details.cache_read"] == server.usage.cached > 0

    texts = attributes_of(call, mistral.embeddings.create, EMBED)
    assert [texts[f"embedding.embeddings.{n}.embedding.text"] for n in (0, 1)] == ["one", "two"]
    assert len(texts["embedding.embeddings.1.embedding.vector"]) == 8
    assert "embedding" not in json.loads(texts["output.value"])["data"][1]
    (many,) = spans_of(call, mistral.embeddings.create, EMBED | {"inputs": ["one"] * 200})
    assert {"input.value", "output.value", "embedding.model_name", "openinference.span.kind",
            "llm.token_count.total"} <= many.attributes.keys()

    entries = [
        {"role": "user", "content": [{"type": "text", "text": "The weather?"},
                                     {"type": "image_url", "image_url": "https://example.com/a"}]},
        {"type": "function.call", "tool_call_id": "abc", "name": "weather",
         "arguments": {"city": "Knossos"}},
        {"type": "function.result", "tool_call_id": "abc", "result": "sunny"},
    ]
    arguments = {"model": MODEL, "inputs": entries, "instructions": "Be brief."}
    asked = attributes_of(call, talk.start, arguments)
    message = "llm.input_messages.{}.message.{}".format
    assert asked[message(0, "role")] == "system"
    assert asked[message(0, "content")] == "Be brief."
    assert asked[message(1, "contents.0.message_content.text")] == "The weather?"
    assert asked[message(1, "contents.1.message_content.image.image.url")].endswith("/a")
    tool_call = "tool_calls.0.tool_call."
    assert asked[message(2, tool_call + "function.name")] == "weather"
    assert asked[message(2, tool_call + "function.arguments")] == '{"city": "Knossos"}'
    assert asked[message(3, "role")] == "tool"
    assert asked[message(3, "tool_call_id")] == asked[message(2, tool_call + "id")] == "abc"

    called = [attributes_of(call, method, TALK | {"tools": [WEATHER]})
              for method in (talk.start, talk.start_stream)]
    for found in called:
        assert json.loads(found["llm.tools.0.tool.json_schema"]) == WEATHER
        start = "llm.output_messages.0.message.tool_calls.0.tool_call."
        assert found[start + "function.name"] == "weather"
        assert json.loads(found[start + "function.arguments"])["city"]

    page = attributes_of(call, mistral.ocr.process, OCR)
    assert page["llm.input_messages.0.message.content"] == DOCUMENT["document_url"]
    assert page["llm.output_messages.0.message.content"].startswith("# A page")
    methods = (transcriptions.complete, transcriptions.stream)
    words = [attributes_of(call, method, SOUND) for method in methods]
    assert {it["llm.output_messages.0.message.content"] for it in words} == {
        "A short transcript of a recording."}
    assert {it["llm.input_messages.0.message.content"] for it in words} == {"a.wav"}
    """)


def test_files_and_secrets_are_not_recorded(mistral):
    mistral("""
    instrument_all()
    image = "data:image/png;base64," + "x" * 5000  # which the server reads out
    document = {"type": "image_url", "image_url": image}
    found = attributes_of(call, mistral.ocr.process, OCR | {
        "document": document, "http_headers": {"x-secret": "hunter2"}, "timeout_ms": 9000})
    text = str({key: it for key, it in found.items() if "output" not in key})
    assert "xxxx" not in text and "hunter2" not in text and "9000" not in text, text
    assert "image/png;base64,<5000 characters>" in found["input.value"]
    found = attributes_of(call, transcriptions.complete, SOUND)
    assert json.loads(found["input.value"])["file"]["content"] == "<4 bytes>"
    # What can be read only once is the SDK's to read.
    tools = (it for it in [WEATHER])
    found = attributes_of(call, talk.start, TALK | {"tools": tools})
    assert json.loads(server.exchanges[0].raw)["tools"], "the tools were read away"
    """)


def test_masking_and_suppression_work_as_for_other_spans(mistral):
    mistral("""
    instrument_all(config=TraceConfig(hide_inputs=True, hide_outputs=True,
                                      hide_embedding_vectors=True))
    for method, arguments, kind, _ in METHODS:
        found = attributes_of(call, method, arguments)
        assert found["input.value"] == found["output.value"] == "__REDACTED__", found
        text = str(found)
        assert not any(it in text for it in (
            "labyrinth", "return exit", "thread", "And then", "short answer", "map.pdf",
            "a.wav", "transcript of", "violence", "friendly")), (method, text)
        vectors = {it for key, it in found.items() if key.endswith("vector")}
        assert vectors <= {"__REDACTED__"}
        with suppress_tracing():
            assert not spans_of(call, method, arguments)
        with using_session("chat-42"):
            assert attributes_of(call, method, arguments)["session.id"] == "chat-42"
    """)


def test_errors_are_recorded(mistral):
    mistral("""
    from mistralai.client.errors import SDKError
    instrument_all()

    def refused(method, arguments):
        server.fail(400)
        try:
            call(method, arguments)
        except SDKError:
            return
        raise SystemExit("it was not refused")

    for method, arguments, *_ in METHODS:
        (span,) = spans_of(refused, method, arguments)
        assert not span.status.is_ok and span.status.description.startswith("SDKError: ")
        assert [event.name for event in span.events] == ["exception"]
        assert "output.value" not in span.attributes
    try:
        mistral.fim.complete(model="codestral-latest")
    except TypeError as error:
        assert "prompt" in str(error)
    """)


def test_unknown_events_and_error_events(mistral):
    mistral("""
    from clew.instrument.record.mistral import ENDPOINTS
    (endpoint,) = [it for it in ENDPOINTS if it.name == "conversations"]
    answer = {}
    for event in (
        {"type": "conversation.response.started", "conversation_id": "conv_1"},
        {"type": "something.newer", "id": "a"},
        {"type": "tool.execution.started", "id": "a", "name": "search", "arguments": "{}"},
        {"type": "tool.execution.done", "id": "a", "name": "search", "info": {"found": 1}},
        {"type": "agent.handoff.done", "id": "b", "next_agent_name": "Ariadne"},
        {"type": "message.output.delta", "id": "c", "content": "See "},
        {"type": "message.output.delta", "id": "c", "content": "this: "},
        {"type": "message.output.delta", "id": "c", "content": {"type": "tool_file"}},
        {"type": "message.output.delta", "id": "c", "content": "."},
        {"type": "conversation.response.error", "code": 500, "message": "lost"},
    ):
        endpoint.add_event(answer, event)
    assert answer["error"] == "500: lost"
    assert [it["type"] for it in answer["outputs"]] == [
        "tool.execution", "agent.handoff", "message.output"]
    assert answer["outputs"][2]["content"] == [
        {"type": "text", "text": "See this: "}, {"type": "tool_file"},
        {"type": "text", "text": "."}]
    messages = list(endpoint.output_messages(answer))
    assert messages[0]["tool_calls"][0]["function"] == {"name": "search", "arguments": "{}"}
    assert messages[1]["content"] == "-> Ariadne"
    """)
