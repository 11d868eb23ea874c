"""Each repair has two tests: with it the defect is gone; without it the defect is still there.

The second kind fails on the day upstream mends the defect. Then the repair and both tests can go.
"""

import pytest

DSPY = """
    import dspy
    from dspy.utils.callback import BaseCallback
    from dspy.utils import DummyLM

    class Callback(BaseCallback):
        seen = []
        def on_lm_start(self, **details): self.seen.append("lm")
        def on_module_start(self, **details): self.seen.append("module")

    def ask():
        Callback.seen.clear()
        with dspy.context(lm=DummyLM([{"answer": "out"}]), callbacks=[Callback()]):
            dspy.Predict("question -> answer")(question="Where?")
        return sorted(Callback.seen)

    untouched = ask()
    assert "lm" in untouched and "module" in untouched, untouched
"""

BOTO = """
    import boto3
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from tests.providers import ProviderServer

    memory = InMemorySpanExporter()
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))
    server = ProviderServer().start()

    def create():
        return boto3.client(
            "bedrock-runtime", region_name="us-east-1", endpoint_url=server.bedrock_url,
            aws_access_key_id="key", aws_secret_access_key="secret",
        )

    def spans_of_a_call(client):
        memory.clear()
        message = {"role": "user", "content": [{"text": "Where?"}]}
        response = client.converse(modelId="amazon.nova-lite-v1:0", messages=[message])
        assert response["output"]["message"]
        return len(memory.get_finished_spans())
"""


def test_dspys_own_callbacks_fire_after_uninstrument_all(python):
    pytest.importorskip("dspy")
    python(
        DSPY
        + """
    from clew import instrument_all, uninstrument_all
    for _ in range(2):
        instrument_all()
        assert ask() == untouched
        uninstrument_all()
        assert ask() == untouched, (ask(), untouched)
    """
    )


def test_upstreams_uninstrument_still_strips_dspys_callbacks(python):
    pytest.importorskip("dspy")
    python(
        DSPY
        + """
    from openinference.instrumentation.dspy import DSPyInstrumentor
    DSPyInstrumentor().instrument()
    DSPyInstrumentor().uninstrument()
    assert ask() != untouched
    """
    )


def test_a_boto3_client_is_traced_again_after_a_second_instrument_all(python_in_the_tree):
    pytest.importorskip("boto3")
    python_in_the_tree(
        BOTO
        + """
    from clew import instrument_all, uninstrument_all
    instrument_all()
    client = create()
    for _ in range(2):
        assert spans_of_a_call(client) == 1
        uninstrument_all()
        assert spans_of_a_call(client) == 0
        instrument_all()
    assert spans_of_a_call(client) == 1
    assert spans_of_a_call(create()) == 1
    """
    )


def test_upstream_still_does_not_trace_such_a_client(python_in_the_tree):
    pytest.importorskip("boto3")
    python_in_the_tree(
        BOTO
        + """
    from openinference.instrumentation.bedrock import BedrockInstrumentor
    BedrockInstrumentor().instrument()
    client = create()
    BedrockInstrumentor().uninstrument()
    BedrockInstrumentor().instrument()
    assert spans_of_a_call(create()) == 1
    assert spans_of_a_call(client) == 0
    """
    )


QUERY = """
    import gc
    from opentelemetry import trace
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from tests.landing.calls import llama_index as calls
    from tests.providers import ProviderServer

    class Started(SpanProcessor):
        def __init__(self): self.spans = []
        def on_start(self, span, parent_context=None): self.spans.append(span)

    started = Started()
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(started)

    def open_after_an_abandoned_query():
        with ProviderServer() as server:
            engine = calls.index(server).as_query_engine(llm=calls.llm(server), streaming=True)
            stream = engine.query("Where?").response_gen
            next(iter(stream))
            del stream
            gc.collect()
        return [span.name for span in started.spans if span.end_time is None]
"""


def test_the_spans_of_an_abandoned_query_end(python_in_the_tree):
    pytest.importorskip("llama_index.embeddings.openai")
    python_in_the_tree(
        QUERY
        + """
    from clew import instrument_all
    instrument_all()
    assert open_after_an_abandoned_query() == []
    """
    )


def test_upstream_still_leaves_them_open(python_in_the_tree):
    pytest.importorskip("llama_index.embeddings.openai")
    python_in_the_tree(
        QUERY
        + """
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
    LlamaIndexInstrumentor().instrument()
    assert "RetrieverQueryEngine.query" in open_after_an_abandoned_query()
    """
    )


SEARCH = """
    import threading
    import dspy, numpy
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from clew import instrument_all, uninstrument_all, using_session

    memory = InMemorySpanExporter()
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))
    tracer = trace.get_tracer("an-application")

    def embed(texts):
        with tracer.start_as_current_span("embed", attributes={"texts": texts}):
            return numpy.ones((len(texts), 3))

    def sessions_of_searches():
        with using_session("maker"):
            search = dspy.retrievers.Embeddings(["a", "b"], embed, k=1)
        memory.clear()

        def ask(number):
            with using_session(f"session-{number % 3}"):
                assert search(f"session-{number % 3}").passages

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        search("outside")
        return [
            (span.attributes.get("session.id"), set(span.attributes["texts"]))
            for span in memory.get_finished_spans() if span.name == "embed"
        ]
"""


def test_each_search_of_dspys_embeddings_is_in_its_own_session(python):
    pytest.importorskip("dspy")
    pytest.importorskip("numpy")
    python(
        SEARCH
        + """
    instrument_all()
    found = sessions_of_searches()
    assert all(texts == {session or "outside"} for session, texts in found), found
    assert {session for session, _ in found} == {"session-0", "session-1", "session-2", None}
    uninstrument_all()
    assert len(sessions_of_searches()) >= 2
    """
    )


def test_without_the_repair_they_are_still_in_their_makers(python):
    pytest.importorskip("dspy")
    pytest.importorskip("numpy")
    python(
        SEARCH
        + """
    from clew import repairs
    from clew import activation
    activation.repairs_for = lambda name: iter(())
    instrument_all()
    assert {session for session, _ in sessions_of_searches()} == {"maker"}
    """
    )
