"""One LLM span per model call with the provider's token counts, in less common ways of calling."""

import pytest

from clew.spans.model_calls import CACHE_HIT
from tests.landing.calls import dspy, installed, langchain, llama_index, openai, run
from tests.landing.table import of_an_instrumentor
from tests.landing.tokens import counted_on, double_counted, kind, stated_by

QUESTION = "Where does the thread lead?"
DETAILED = "cached-reasoner"
"""For a model of this name the provider server states cached and reasoning tokens."""


@pytest.fixture
def counted(server, started, report):
    """Make a call; compare the tokens on its spans with the provider's answers, and return them."""

    def count(call, *, needs, calls=None, traces=1):
        for module in needs:
            if not installed(module):
                pytest.skip(f"{module} is not installed here")
        begin = len(started.spans)
        server.clear()
        call()
        made = [span for span in started.spans[begin:] if of_an_instrumentor(span)]
        stated, found = stated_by(server.exchanges), counted_on(made)
        assert found.usage == stated.usage
        assert found.calls == (stated.calls if calls is None else calls)
        assert double_counted(made) == []
        assert traces in {None, len({span.context.trace_id for span in made})}
        return made

    return count


def ask_directly(client, question):
    messages = [{"role": "user", "content": question}]
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    return answer.choices[0].message.content


def names(spans, of="LLM"):
    return [span.name for span in spans if kind(span) == of]


OPENAI = ("langchain_openai",)


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream", "batch", "abatch"])
def test_langchain_copies_cached_and_reasoning_tokens(server, counted, way, streaming):
    def call():
        chain = langchain.model(
            server, model=DETAILED, streaming=streaming, stream_usage=True
        ).with_config(run_name="ask")
        _ask(chain, way)

    made = counted(call, needs=OPENAI, traces=2 if "batch" in way else 1)
    assert set(names(made)) == {"ask"}
    usage = counted_on(made).usage
    assert usage.cached
    assert usage.reasoning


def _ask(model, way):
    async def read():
        return [part async for part in model.astream(QUESTION)]

    def finished(coroutine):
        answers = []

        async def main():
            answers.append(await coroutine)

        run(main())
        return answers[0]

    ways = {
        "invoke": lambda: model.invoke(QUESTION),
        "stream": lambda: list(model.stream(QUESTION)),
        "batch": lambda: model.batch([QUESTION, "Why?"]),
        "ainvoke": lambda: finished(model.ainvoke(QUESTION)),
        "astream": lambda: finished(read()),
        "abatch": lambda: finished(model.abatch([QUESTION, "Why?"])),
    }
    assert ways[way]()


def _two():
    from langchain_core.messages import HumanMessage

    return [[HumanMessage(QUESTION)], [HumanMessage("Why?")]]


several = pytest.mark.filterwarnings("ignore:Unexpected type for token usage")  # LangChain's own


@several
def test_langchain_batch_with_generate(server, counted):
    """All runs have started when the first of them calls the provider."""

    def call():
        assert len(langchain.model(server).generate(_two()).generations) == 2

    made = counted(call, needs=OPENAI, traces=2)
    parents = {span.parent.span_id for span in made if kind(span) == "CHAIN"}
    assert len(parents) == 2


@several
def test_langchain_batch_with_generate_asynchronously(server, counted):
    async def main():
        assert len((await langchain.model(server).agenerate(_two())).generations) == 2

    made = counted(lambda: run(main()), needs=OPENAI, traces=2)
    assert len({span.parent.span_id for span in made if kind(span) == "CHAIN"}) == 2


def test_a_run_that_never_ends_leaves_nothing_behind(server, counted):
    if not installed("langchain_openai"):
        pytest.skip("langchain is not installed here")

    class Broken(type(langchain.model(server))):
        def _combine_llm_outputs(self, outputs):
            raise LookupError

    model = Broken(base_url=server.openai_url, api_key="key")
    with pytest.raises(LookupError):
        model.generate(_two())

    def call():
        with openai.client(server) as client:
            ask_directly(client, QUESTION)

    (direct,) = counted(call, needs=("openai",))
    assert direct.parent is None


def test_langchain_retries_and_falls_back(server, counted):
    def call():
        first = langchain.model(server, model="unknown-to-fail")
        server.fail(500, times=3)
        tried = first.with_retry(stop_after_attempt=2).with_fallbacks(
            [langchain.model(server).with_retry(stop_after_attempt=2)]
        )
        assert tried.invoke(QUESTION).content

    made = counted(call, needs=OPENAI, calls=4)
    assert [span.status.status_code.name for span in made if kind(span) == "LLM"] == [
        *("ERROR", "ERROR", "ERROR", "OK"),
    ]


def test_a_tool_that_calls_a_model_itself_makes_an_llm_span_of_its_own(server, counted):
    def call():
        from langchain.agents import create_agent
        from langchain_core.tools import tool

        client = openai.client(server)

        @tool
        def weather(city: str) -> str:
            """The weather in a city."""
            return ask_directly(client, city)

        agent = create_agent(langchain.model(server), tools=[weather])
        assert agent.invoke({"messages": [{"role": "user", "content": "Weather in Knossos?"}]})
        client.close()

    made = counted(call, needs=("langchain_openai", "langgraph"), calls=3)
    (of_the_tool,) = [span for span in made if kind(span) == "TOOL"]
    (direct,) = [it for it in made if kind(it) == "LLM" and "openai" in _scope(it)]
    assert direct.parent.span_id == of_the_tool.context.span_id


def _scope(span):
    return span.instrumentation_scope.name


def test_a_direct_call_between_the_parts_of_a_stream_stays_on_its_own(server, counted):
    def call():
        client = openai.client(server)
        parts = langchain.model(server, stream_usage=True).stream(QUESTION)
        next(parts)
        ask_directly(client, "Why?")
        assert list(parts)
        ask_directly(client, "Why?")
        client.close()

    made = counted(call, needs=OPENAI, traces=3)
    assert len([it for it in made if kind(it) == "LLM" and "openai" in _scope(it)]) == 2


def test_langchain_over_a_provider_that_is_not_traced(server, started, report):
    """It states its own tokens; the call that it makes besides, in a run of its own, has none."""
    if not installed("langchain_openai"):
        pytest.skip("langchain is not installed here")
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    class Guarded(GenericFakeChatModel):
        def _generate(self, messages, *arguments, **named):
            GenericFakeChatModel(messages=iter(["harmless"])).invoke(messages)
            return super()._generate(messages, *arguments, **named)

    usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    begin = len(started.spans)
    Guarded(messages=iter([AIMessage("out", usage_metadata=usage)])).invoke(QUESTION)
    outer, inner = started.spans[begin:]
    assert (kind(outer), kind(inner)) == ("LLM", "LLM")
    assert counted_on([outer, inner]).usage.total == 7


def test_one_langchain_model_inside_another_is_one_call(server, counted):
    """As a router does, which is a model itself."""

    def call():
        from langchain_core.language_models import BaseChatModel
        from langchain_core.outputs import ChatGeneration, ChatResult

        inside = langchain.model(server)

        class Router(BaseChatModel):
            _llm_type = "router"

            def _generate(self, messages, *_, **__):
                answer = inside.invoke(messages)
                return ChatResult(generations=[ChatGeneration(message=answer)])

        assert Router().invoke(QUESTION).content

    made = counted(call, needs=OPENAI)
    assert names(made) == ["ChatOpenAI"]
    assert names(made, "CHAIN") == ["Router", "ChatCompletion"]


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
def test_a_langchain_cache_hit_has_no_tokens(server, counted, way):
    def call():
        from langchain_core.caches import InMemoryCache

        model = langchain.model(server, cache=InMemoryCache(), model=DETAILED, stream_usage=True)
        _ask(model, way)
        _ask(model, way)

    hits = way in {"invoke", "ainvoke"}  # LangChain asks no cache for a stream.
    made = counted(call, needs=OPENAI, calls=2, traces=2)
    answered = [it.attributes.get(CACHE_HIT) for it in made if kind(it) == "LLM"]
    assert answered == [None, True if hits else None]


def test_the_cache_hit_of_a_text_model_is_an_llm_span(server, counted):
    def call():
        from langchain_core.caches import InMemoryCache
        from langchain_openai import OpenAI

        model = OpenAI(
            base_url=server.openai_url, api_key="key", cache=InMemoryCache(), max_retries=0
        )
        assert len({model.invoke(QUESTION) for _ in range(2)}) == 1

    made = counted(call, needs=OPENAI, calls=2, traces=2)
    hit = made[-1]
    assert hit.attributes[CACHE_HIT] is True
    assert hit.attributes["input.value"] == QUESTION
    assert hit.attributes["llm.token_count.total"] == 0
    assert hit.attributes["output.value"]


LLAMA = ("llama_index.llms.openai",)


@pytest.mark.parametrize("model", ["gpt-4o-mini", "o4-mini"])
def test_llama_index_wrappers_are_not_counted_twice(server, counted, model):
    def call():
        from llama_index.core.prompts import PromptTemplate

        from_model = openai.city_type()

        llm = llama_index.llm(server, model=model)
        assert llm.predict(PromptTemplate(QUESTION))
        assert llm.as_structured_llm(from_model).chat(llama_index.messages()).raw
        assert llm.structured_predict(from_model, PromptTemplate("A city"))
        assert llm.complete(QUESTION).text

    counted(call, needs=LLAMA, traces=4)


def test_a_llama_index_agent_has_one_llm_span_per_model_call(server, counted):
    counted(lambda: llama_index.function_agent(server), needs=LLAMA)


@pytest.mark.parametrize("way", ["chat", "stream_chat", "achat", "astream_chat"])
def test_a_llama_index_chat_engine_has_one_llm_span_per_model_call(server, counted, way):
    def call():
        from llama_index.core.chat_engine import SimpleChatEngine

        engine = SimpleChatEngine.from_defaults(llm=llama_index.llm(server))

        async def main():
            answer = await getattr(engine, way)(QUESTION)
            if "stream" in way:
                assert [part async for part in answer.async_response_gen()]

        if way.startswith("a"):
            run(main())
            return
        answer = getattr(engine, way)(QUESTION)
        assert list(answer.response_gen) if "stream" in way else str(answer)

    # The task that writes a stream's history may begin when upstream's span is over.
    counted(call, needs=LLAMA, traces=None if "stream" in way else 1)


@pytest.mark.parametrize("way", ["stream_chat", "astream_chat", "stream_complete"])
def test_llama_index_streams_have_token_counts(server, counted, way):
    def call():
        options = {"stream_options": {"include_usage": True}}
        llm = llama_index.llm(server, additional_kwargs=options)
        if way == "stream_complete":
            assert list(llm.stream_complete(QUESTION))
        elif way == "stream_chat":
            assert list(llm.stream_chat(llama_index.messages()))
        else:

            async def main():
                stream = await llm.astream_chat(llama_index.messages())
                assert [part async for part in stream]

            run(main())

    made = counted(call, needs=LLAMA)
    assert counted_on(made).usage.total


def test_a_span_of_the_application_between_the_two_changes_nothing(server, counted):
    def call():
        from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
        from opentelemetry import trace

        client = openai.client(server)

        class Own(CustomLLM):
            @property
            def metadata(self):
                return LLMMetadata()

            def complete(self, prompt, *_, **__):
                with trace.get_tracer("an-application").start_as_current_span("own"):
                    return CompletionResponse(text=ask_directly(client, prompt))

            def stream_complete(self, prompt, *_, **__):
                raise NotImplementedError

        assert Own().complete(QUESTION).text
        client.close()

    made = counted(call, needs=LLAMA)
    assert names(made) == ["Own.complete"] or "Own" in names(made)[0]


def test_attributes_of_the_inner_span_are_copied_to_the_outer_one(server, counted):
    made = counted(lambda: llama_index.chat(server), needs=LLAMA)
    outer, inner = made
    assert kind(inner) == "CHAIN"
    assert outer.attributes["llm.model_name"] == inner.attributes["llm.model_name"]
    assert "llm.invocation_parameters" in outer.attributes


@pytest.mark.parametrize("way", [dspy.litellm_call, dspy.litellm_acall])
def test_dspy_through_litellm_is_one_call(server, counted, way):
    made = counted(lambda: way(server), needs=("dspy", "litellm"))
    assert names(made) == ["LM.__call__"] or names(made) == ["LM.acall"]
    assert counted_on(made).usage.total
