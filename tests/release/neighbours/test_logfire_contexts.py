"""The real Logfire: the span of a streamed answer, and its thread pools."""

from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(
    not (find_spec("logfire") and find_spec("openai")), reason="Logfire has its own environment"
)

START = """
import asyncio
from concurrent.futures import ThreadPoolExecutor

import logfire
import openai
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from clew import instrument_all, using_session
from tests.support.providers import ProviderServer

memory = InMemorySpanExporter()
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "q"}], "stream": True}

def configure():
    logfire.configure(
        send_to_logfire=False,
        console=False,
        scrubbing=False,
        additional_span_processors=[SimpleSpanProcessor(memory)],
    )
    logfire.instrument_openai()

def ids():
    return [
        (span.name, span.attributes.get("session.id"), span.attributes.get("user.id"))
        for span in memory.get_finished_spans()
        if span.attributes.get("logfire.span_type") != "pending_span"
    ]

def streamed():
    return [found[1:] for found in ids() if found[0].startswith("streaming response")]

configure()
instrument_all()
server = ProviderServer()
with server:
    options = {"api_key": "k", "base_url": server.url + "/v1"}
"""


@pytest.fixture
def run(python, monkeypatch, request):
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    return lambda code: python(START + code)


def test_a_stream_read_inside_the_block(run):
    run("""
    client = openai.OpenAI(**options)
    with using_session("chat-42", user_id="ada"):
        for _ in client.chat.completions.create(**QUESTION):
            pass
assert streamed() == [("chat-42", "ada")], ids()
assert {found[1:] for found in ids()} == {("chat-42", "ada")}, ids()
""")


def test_a_stream_read_after_the_block_inside_another(run):
    run("""
    client = openai.OpenAI(**options)
    with using_session("chat-42", user_id="ada"):
        stream = client.chat.completions.create(**QUESTION)
    with using_session("another"):
        for _ in stream:
            pass
assert streamed() == [("chat-42", "ada")], ids()
""")


def test_an_asynchronous_stream(run):
    run("""
    async def main():
        async with openai.AsyncOpenAI(**options) as client:
            with using_session("chat-42", user_id="ada"):
                async for _ in await client.chat.completions.create(**QUESTION):
                    pass
    asyncio.run(main())
assert streamed() == [("chat-42", "ada")], ids()
""")


def test_a_thread_pool(run):
    run("""
    with using_session("chat-42", user_id="ada"), ThreadPoolExecutor() as pool:
        pool.submit(logfire.info, "in a pool").result()
assert ids() == [("in a pool", "chat-42", "ada")]
""")
