"""LlamaIndex, over OpenAI."""

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.utils import get_tokenizer
from llama_index.embeddings.openai import OpenAIEmbedding

from soak.calls import TIMEOUT, call
from tests.landing.calls import llama_index

get_tokenizer()  # Two threads that need it for the first time get into each other's way.


def llm(provider):
    return llama_index.llm(provider, max_retries=1, timeout=TIMEOUT)


def index(provider):
    embedder = OpenAIEmbedding(
        api_base=provider.openai_url, api_key="key", max_retries=1, timeout=TIMEOUT
    )
    documents = [Document(text="The thread leads out."), Document(text="The maze leads in.")]
    return VectorStoreIndex.from_documents(documents, embed_model=embedder)


def engine(provider):
    return provider.kept(index).as_query_engine(llm=provider.kept(llm))


def streaming_engine(provider):
    return provider.kept(index).as_query_engine(llm=provider.kept(llm), streaming=True)


def said(question):
    return [ChatMessage(role="user", content=question)]


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@call("llamaindex", "call")
def chat(provider, question):
    return provider.kept(llm).chat(said(question)).message.content


@call("llamaindex", "call")
def query(provider, question):
    """Looks for documents first. The index is made by the first call."""
    assert str(provider.kept(engine).query(question))
    return question


@call("llamaindex", "stream")
def stream_chat(provider, question):
    return provider.kept(llm).stream_chat(said(question))


@call("llamaindex", "stream")
def query_stream(provider, question):
    return provider.kept(streaming_engine).query(question).response_gen


@call("llamaindex", "acall")
def achat(provider, question):
    return provider.kept(llm).achat(said(question))


@call("llamaindex", "own")
async def function_agent(provider, question):
    return str(await FunctionAgent(tools=[weather], llm=provider.kept(llm)).run(question))


@call("llamaindex", "astream")
def astream_chat(provider, question):
    return provider.kept(llm).astream_chat(said(question))
