"""Calls in which one span for a model call is inside another, and the keys of their LLM spans.

``python -m tests.integration.contract.llm_span_calls FRAMEWORK upstream|clew FILE`` makes all calls
of one framework and writes, for each, the attribute keys of all its LLM spans, without their
indexes, and the prompt template of each span.
"""

import gc
import json
import re
import sys
import warnings
from importlib import import_module
from pathlib import Path

from tests.integration.contract.recorder import Recorder
from tests.landing.calls import bedrock, dspy, installed, langchain, llama_index, openai, run
from tests.support.providers import ProviderServer

QUESTION = "Where does the thread lead?"
PROVIDERS = {"openai": "OpenAI", "bedrock": "Bedrock", "mistralai": "MistralAI"}
ORCHESTRATORS = {"langchain": "LangChain", "llama_index": "LlamaIndex", "dspy": "DSPy"}
ONE_IN_ANOTHER = "one in another"
CALLS: dict[str, list] = {name: [] for name in (*ORCHESTRATORS, ONE_IN_ANOTHER)}


def call_of(framework, *needs):
    """Register a function as a call of *framework*, to be made if all *needs* are installed."""

    def register(call):
        CALLS[framework].append((call, needs))
        return call

    return register


# --- LangChain ---

call_of("langchain", "langchain_openai")(langchain.invoke)
call_of("langchain", "langchain_openai")(langchain.stream)
call_of("langchain", "langchain_aws")(langchain.bedrock_converse)
call_of("langchain", "langchain_mistralai")(langchain.mistral_invoke)


@call_of("langchain", "langchain_openai")
def with_tools(server):
    model = langchain.model(server).bind_tools([langchain.weather_tool()])
    assert model.invoke("The weather in Knossos?").tool_calls


@call_of("langchain", "langchain_openai")
def text_model(server):
    from langchain_openai import OpenAI

    model = OpenAI(base_url=server.openai_url, api_key="key", max_retries=0)
    assert model.invoke(QUESTION)


def router(ask):
    """Return a LangChain model that passes its input to *ask*."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class Router(BaseChatModel):
        _llm_type = "router"

        def _generate(self, messages, *_, **__):
            answer = AIMessage(ask(messages[0].content))
            return ChatResult(generations=[ChatGeneration(message=answer)])

    return Router(metadata={"team": "maze"})


@call_of("langchain", "langchain_openai")
def model_in_a_model(server):
    assert router(lambda it: langchain.model(server).invoke(it).content).invoke(QUESTION)


@call_of("langchain", "langchain_openai")
def openai_in_a_model(server):
    assert router(lambda it: ask_openai(server, it)).invoke(QUESTION)


@call_of(ONE_IN_ANOTHER, "langchain_openai", "llama_index.llms.openai")
def llama_index_in_a_model(server):
    assert router(lambda it: llama_index.llm(server).complete(it).text).invoke(QUESTION)


def ask_openai(server, question):
    with openai.client(server) as client:
        messages = [{"role": "user", "content": question}]
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    return answer.choices[0].message.content


# --- LlamaIndex ---

LLAMA = "llama_index.llms.openai"
call_of("llama_index", LLAMA)(llama_index.chat)
call_of("llama_index", LLAMA)(llama_index.complete)
call_of("llama_index", LLAMA)(llama_index.structured)
call_of("llama_index", LLAMA)(llama_index.function_agent)
call_of("llama_index", "llama_index.llms.bedrock_converse")(llama_index.bedrock_chat)
call_of("llama_index", "llama_index.llms.mistralai")(llama_index.mistral_chat)


def template():
    from llama_index.core.prompts import PromptTemplate

    return PromptTemplate("Where does the {what} lead?")


@call_of("llama_index", LLAMA)
def predict(server):
    assert llama_index.llm(server).predict(template(), what="thread")


@call_of("llama_index", LLAMA)
def stream_of_a_template(server):
    assert list(llama_index.llm(server).stream(template(), what="thread"))


@call_of("llama_index", LLAMA)
def predict_async(server):
    async def main():
        llm = llama_index.llm(server)
        assert await llm.apredict(template(), what="thread")
        assert [part async for part in await llm.astream(template(), what="thread")]

    run(main())


@call_of("llama_index", LLAMA)
def refine(server):
    from llama_index.core import get_response_synthesizer
    from llama_index.core.schema import NodeWithScore, TextNode

    writer = get_response_synthesizer(llm=llama_index.llm(server), response_mode="refine")
    nodes = [NodeWithScore(node=TextNode(text=it)) for it in ("out", "in")]
    assert str(writer.synthesize(QUESTION, nodes=nodes))


@call_of("llama_index", LLAMA)
def responses(server):
    from llama_index.llms.openai import OpenAIResponses

    llm = OpenAIResponses(model="gpt-4o-mini", api_base=server.openai_url, api_key="key")
    assert llm.chat(llama_index.messages()).message.content


def own_llm(ask):
    """Return a LlamaIndex model that passes its input to *ask*."""
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata

    class Own(CustomLLM):
        @property
        def metadata(self):
            return LLMMetadata(model_name="own")

        def complete(self, prompt, *_, **__):
            return CompletionResponse(text=ask(prompt))

        def stream_complete(self, prompt, *_, **__):
            raise NotImplementedError

    return Own()


@call_of("llama_index", LLAMA)
def openai_in_an_llm(server):
    assert own_llm(lambda it: ask_openai(server, it)).predict(template(), what="thread")


@call_of("llama_index", LLAMA)
def openai_in_the_chat_of_an_llm(server):
    own = own_llm(lambda it: ask_openai(server, it))
    assert own.chat(llama_index.messages()).message.content


@call_of(ONE_IN_ANOTHER, LLAMA, "langchain_openai")
def langchain_in_an_llm(server):
    own = own_llm(lambda it: langchain.model(server).invoke(it).content)
    assert own.predict(template(), what="thread")


# --- DSPy ---

call_of("dspy", "dspy")(dspy.call)
call_of("dspy", "dspy", "openai")(dspy.own_model_call)
call_of("dspy", "dspy", "litellm")(dspy.litellm_call)


def own_model(base, ask):
    """Return a DSPy model that passes its input to *ask*."""

    class Own(base):
        def __call__(self, prompt=None, **named):
            return [ask(prompt, **named)]

    return Own("openai/gpt-4o-mini", temperature=0.3)


@call_of("dspy", "dspy", "openai")
def model_that_passes_tools_on(server):
    import dspy as framework

    client = openai.client(server)
    schema = {"name": "weather", "parameters": {"type": "object", "properties": {}}}

    class Own(framework.BaseLM):
        def forward(self, prompt=None, messages=None, **_named):
            asked = messages or [{"role": "user", "content": prompt}]
            tools = [{"type": "function", "function": schema}]
            return client.chat.completions.create(model=self.model, messages=asked, tools=tools)

    assert Own("gpt-4o-mini")("The weather in Knossos?")
    client.close()


@call_of("dspy", "dspy")
def model_in_another(server):
    import dspy as framework

    assert own_model(framework.BaseLM, lambda it: dspy.lm(server)(it)[0])(QUESTION)


@call_of("dspy", "dspy", "openai")
def override_that_asks_openai(server):
    import dspy as framework

    assert own_model(framework.LM, lambda it: ask_openai(server, it))(QUESTION)


@call_of(ONE_IN_ANOTHER, "dspy", "langchain_openai")
def langchain_in_a_model(server):
    import dspy as framework

    ask = own_model(framework.BaseLM, lambda it: langchain.model(server).invoke(it).content)
    assert ask(QUESTION)


@call_of(ONE_IN_ANOTHER, "dspy", "llama_index.llms.openai")
def llama_index_in_a_dspy_model(server):
    import dspy as framework

    ask = own_model(framework.BaseLM, lambda it: llama_index.llm(server).complete(it).text)
    assert ask(QUESTION)


@call_of("dspy", "dspy")
def bedrock_in_a_model(server):
    import dspy as framework

    def ask(prompt):
        messages = [{"role": "user", "content": [{"text": prompt}]}]
        answer = bedrock.client(server).converse(modelId=CLAUDE, messages=messages)
        return answer["output"]["message"]["content"][0]["text"]

    assert own_model(framework.BaseLM, ask)(QUESTION)


CLAUDE = "anthropic.claude-3-5-haiku-20241022-v1:0"


# --- the program ---


def trace_with(tool, framework):
    if tool == "clew":
        from clew import instrument_all

        instrument_all()
        return
    for module, name in {**PROVIDERS, **ORCHESTRATORS}.items():
        wanted = module in PROVIDERS or framework in {module, ONE_IN_ANOTHER}
        if wanted and installed(f"openinference.instrumentation.{module}"):
            found = import_module(f"openinference.instrumentation.{module}")
            getattr(found, f"{name}Instrumentor")().instrument()


def main(framework, tool, place):
    warnings.simplefilter("ignore")  # Of the frameworks, which are not what is looked at here.
    recorder, server = Recorder(), ProviderServer().start()
    trace_with(tool, framework)
    found = {}
    for call, needs in CALLS[framework]:
        if all(map(installed, needs)):
            recorder.clear()
            server.clear()
            call(server)
            gc.collect()  # A stream's span may end with the stream.
            gc.freeze()  # Not again what has been imported.
            spans = [it.attributes for it in recorder.models()]
            keys = {re.sub(r"\.\d+\.", ".N.", key) for it in spans for key in it}
            templates = [it.get("llm.prompt_template.template") for it in spans]
            found[call.__name__] = {"keys": sorted(keys), "templates": templates}
    Path(place).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
