"""Model calls that count twice with upstream, and once with clew.

The second test of each pair fails once upstream has mended the defect. Then the repair can go.
"""

import pytest

MEMORY = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from tests.support.providers import ProviderServer

    memory = InMemorySpanExporter()
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))
    server = ProviderServer().start()

    def spans():
        return memory.get_finished_spans()

    def llm_spans():
        return [it.name for it in spans() if it.attributes["openinference.span.kind"] == "LLM"]

    def tokens():
        return sum(it.attributes.get("llm.token_count.total", 0) for it in spans())

    def traces():
        return len({it.context.trace_id for it in spans()})
"""
CLEW = """
    from clew import instrument_all, uninstrument_all
    instrument_all()
"""
UPSTREAM = """
    from openinference.instrumentation.{module} import {name}
    {name}().instrument()
"""
OPENAI = UPSTREAM.format(module="openai", name="OpenAIInstrumentor")
LANGCHAIN = OPENAI + UPSTREAM.format(module="langchain", name="LangChainInstrumentor")
LLAMA_INDEX = OPENAI + UPSTREAM.format(module="llama_index", name="LlamaIndexInstrumentor")

ASK_LANGCHAIN = """
    from langchain_core.caches import InMemoryCache
    from langchain_openai import ChatOpenAI
    model = ChatOpenAI(
        model="gpt-4o-mini", base_url=server.openai_url, api_key="key", cache=InMemoryCache()
    )
    model.invoke("Where?")
"""
ASK_LLAMA_INDEX = """
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai import OpenAI

    def weather(city: str) -> str:
        "The weather in a city."
        return "sunny"

    model = OpenAI(model="gpt-4o-mini", api_base=server.openai_url, api_key="key")
    tool = FunctionTool.from_defaults(weather)
    model.chat_with_tools([tool], user_msg="The weather in Knossos?")
    list(model.stream_chat_with_tools([tool], user_msg="The weather in Knossos?"))
"""


@pytest.fixture
def python_in_the_tree(python, monkeypatch, request):
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    return python


def test_langchain_and_its_provider_are_one_call_in_one_trace(python_in_the_tree):
    pytest.importorskip("langchain_openai")
    python_in_the_tree(
        MEMORY
        + CLEW
        + ASK_LANGCHAIN
        + """
    assert (llm_spans(), traces()) == (["ChatOpenAI"], 1), (llm_spans(), traces())
    assert tokens() == server.usage.total
    uninstrument_all()
    memory.clear()
    model.invoke("Why?")
    assert spans() == ()
    instrument_all()
    model.invoke("Why not?")
    assert (llm_spans(), traces()) == (["ChatOpenAI"], 1), (llm_spans(), traces())
    """
    )


def test_unmerged_spans_are_nested(python_in_the_tree):
    pytest.importorskip("langchain_openai")
    python_in_the_tree(
        MEMORY
        + CLEW
        + ASK_LANGCHAIN
        + """
    assert llm_spans() == ["ChatCompletion", "ChatOpenAI"], llm_spans()
    inner, outer = spans()
    assert inner.parent.span_id == outer.context.span_id
    assert tokens() == 2 * server.usage.total
    """,
        CLEW_DUPLICATES="keep",
    )


def test_upstream_still_has_two_calls_in_two_traces(python_in_the_tree):
    pytest.importorskip("langchain_openai")
    python_in_the_tree(
        MEMORY
        + LANGCHAIN
        + ASK_LANGCHAIN
        + """
    assert (len(llm_spans()), traces()) == (2, 2), (llm_spans(), traces())
    assert tokens() == 2 * server.usage.total
    """
    )


def test_cache_hit_of_langchain_costs_nothing(python_in_the_tree):
    pytest.importorskip("langchain_openai")
    python_in_the_tree(
        MEMORY
        + CLEW
        + ASK_LANGCHAIN
        + """
    memory.clear()
    model.invoke("Where?")
    (hit,) = spans()
    assert hit.attributes["llm.cache_hit"] is True
    assert tokens() == 0, tokens()
    """
    )


def test_upstream_still_counts_the_tokens_of_a_cache_hit_again(python_in_the_tree):
    pytest.importorskip("langchain_openai")
    python_in_the_tree(
        MEMORY
        + LANGCHAIN
        + ASK_LANGCHAIN
        + """
    memory.clear()
    model.invoke("Where?")
    assert tokens() == server.usage.total > 0
    """
    )


def test_tool_call_of_llama_index_is_one_call(python_in_the_tree):
    pytest.importorskip("llama_index.llms.openai")
    python_in_the_tree(
        MEMORY
        + CLEW
        + ASK_LLAMA_INDEX
        + """
    assert llm_spans() == ["OpenAI.chat", "OpenAI.stream_chat"], llm_spans()
    inner = [it for it in spans() if it.name == "ChatCompletion"]
    assert all(it.parent for it in inner), "a stream's request has lost its parent"
    """
    )


def test_upstream_still_has_more_calls_and_a_separate_request_of_a_stream(python_in_the_tree):
    pytest.importorskip("llama_index.llms.openai")
    python_in_the_tree(
        MEMORY
        + LLAMA_INDEX
        + ASK_LLAMA_INDEX
        + """
    assert "OpenAI._prepare_chat_with_tools" in llm_spans(), llm_spans()
    assert [it.name for it in spans() if it.name == "ChatCompletion" and not it.parent]
    """
    )


CHAT_ENGINE = """
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.embeddings.openai import OpenAIEmbedding
    from llama_index.llms.openai import OpenAI

    where = {"api_base": server.openai_url, "api_key": "key"}
    index = VectorStoreIndex.from_documents(
        [Document(text="The thread leads out.")], embed_model=OpenAIEmbedding(**where)
    )
    engine = index.as_chat_engine("context", llm=OpenAI(model="gpt-4o-mini", **where))
    response = engine.stream_chat("Where?")
    assert list(response.response_gen)
"""


def test_stream_of_a_chat_engine_is_one_call(python_in_the_tree):
    pytest.importorskip("llama_index.embeddings.openai")
    python_in_the_tree(
        MEMORY
        + CLEW
        + CHAT_ENGINE
        + """
    assert llm_spans() == ["OpenAI.stream_chat"], llm_spans()
    """
    )


def test_upstream_still_has_an_extra_call_for_a_chat_engine(python_in_the_tree):
    pytest.importorskip("llama_index.embeddings.openai")
    python_in_the_tree(
        MEMORY
        + LLAMA_INDEX
        + CHAT_ENGINE
        + """
    assert "StreamingAgentChatResponse.write_response_to_history" in llm_spans(), llm_spans()
    """
    )


BATCH = """
    import asyncio
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4o-mini", base_url=server.openai_url, api_key="key")
    chain = ChatPromptTemplate.from_template("Say {what}.") | model
    inputs = [{"what": "one"}, {"what": "two"}, {"what": "three"}]
    if ASYNC:
        asyncio.run(chain.abatch(inputs))
    else:
        chain.batch(inputs)
    roots = [it for it in spans() if it.parent is None]
    assert len(roots) == traces() == 3, sorted((it.name, it.parent) for it in spans())
    assert {it.name for it in roots} == {"RunnableSequence"}
"""


@pytest.mark.parametrize("asynchronous", [False, True])
def test_each_run_of_a_batch_is_a_trace_as_upstream_has_it(python_in_the_tree, asynchronous):
    pytest.importorskip("langchain_openai")
    batch = BATCH.replace("ASYNC", str(asynchronous))
    only_langchain = UPSTREAM.format(module="langchain", name="LangChainInstrumentor")
    python_in_the_tree(MEMORY + only_langchain + batch)
    python_in_the_tree(MEMORY + CLEW + batch + "    assert len(llm_spans()) == 3\n")
