"""LangChain and LangGraph."""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from soak.calls import TIMEOUT, call
from tests.landing.calls import langchain


def model(provider):
    return langchain.model(provider, max_retries=1, timeout=TIMEOUT)


def chain(provider):
    prompt = ChatPromptTemplate.from_messages([("human", "{asked}")])
    return prompt | provider.kept(model) | StrOutputParser()


def agent(provider):
    from langchain.agents import create_agent

    return create_agent(provider.kept(model), tools=[langchain.weather_tool()])


def said(question):
    return {"messages": [{"role": "user", "content": question}]}


@call("langchain", "call")
def invoke(provider, question):
    return provider.kept(chain).invoke({"asked": question})


@call("langchain", "call")
def batch(provider, question):
    """In two threads of a pool of LangChain's."""
    return " ".join(provider.kept(chain).batch([{"asked": question}, {"asked": question}]))


@call("langchain", "call")
def with_a_tool(provider, question):
    return provider.kept(agent).invoke(said(question))["messages"][-1].content


@call("langchain", "stream")
def stream(provider, question):
    return provider.kept(chain).stream({"asked": question})


@call("langchain", "stream")
def agent_stream(provider, question):
    return provider.kept(agent).stream(said(question))


@call("langchain", "acall")
def ainvoke(provider, question):
    return provider.kept(chain).ainvoke({"asked": question})


@call("langchain", "acall")
def agent_ainvoke(provider, question):
    return provider.kept(agent).ainvoke(said(question))


@call("langchain", "astream")
def astream(provider, question):
    return provider.kept(chain).astream({"asked": question})


@call("langchain", "astream")
def events(provider, question):
    return provider.kept(chain).astream_events({"asked": question}, version="v2")
