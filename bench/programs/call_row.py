"""One row of ``call.py``: an application that calls OpenAI when it gets a turn, traced or not.

Its arguments are the row, and the addresses of the provider, of a slow provider, and of the
collector. A line on standard input says how to call and how often; the reply is one line of JSON.
Besides openai it imports only what its row needs, so that each row can have an environment of its
own.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib import metadata
from time import perf_counter, process_time
from typing import Any

row, fast, slow, collector = sys.argv[1:]
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # Some of the tracers print to standard output.
SESSION, USER = "chat-42", "ada"
IN_FLIGHT = 4
REQUEST: Any = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "You are a friend of long answers."},
        {"role": "user", "content": "Why does the thread lead out of the labyrinth? " * 4},
    ],
}
Flush = Callable[[], object]
Block = Callable[[], AbstractContextManager[Any]]
Traced = tuple[Flush, Block]
"""A function that delivers the spans, and one that returns the block to make calls in."""


def plain() -> Traced:
    return lambda: None, nullcontext


def bare() -> Traced:
    """OpenInference's instrumentor with the SDK, batches and OTLP/HTTP."""
    from openinference.instrumentation.openai import OpenAIInstrumentor
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    return provider.force_flush, nullcontext


def clew() -> Traced:
    from opentelemetry import trace

    from clew import instrument_all, using_session

    instrument_all()
    provider: Any = trace.get_tracer_provider()
    return provider.force_flush, lambda: using_session(SESSION, user_id=USER)


def phoenix(*, batch: bool = False) -> Traced:
    from phoenix.otel import register

    provider = register(
        endpoint=f"{collector}/v1/traces",
        protocol="http/protobuf",
        batch=batch,
        verbose=False,
        auto_instrument=True,
    )
    return provider.force_flush, nullcontext


def traceloop() -> Traced:
    os.environ["TRACELOOP_TELEMETRY"] = "false"
    from opentelemetry import trace
    from traceloop.sdk import Traceloop

    Traceloop.init(app_name="bench", api_endpoint=collector, api_key="none")
    provider: Any = trace.get_tracer_provider()
    return provider.force_flush, nullcontext


def langfuse() -> Traced:
    os.environ |= {
        "LANGFUSE_PUBLIC_KEY": "pk-lf-none",
        "LANGFUSE_SECRET_KEY": "sk-lf-none",
        "LANGFUSE_HOST": collector,
        "LANGFUSE_BASE_URL": collector,
    }
    from langfuse import get_client

    return get_client().flush, nullcontext


def logfire() -> Traced:
    import logfire as product

    # It exports, in batches, to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names.
    product.configure(send_to_logfire=False, console=False, inspect_arguments=False, metrics=False)
    product.instrument_openai()
    return product.force_flush, nullcontext


def lost() -> int:
    """Return how many spans could not be delivered to a dead collector."""
    if row != "clew_dead":
        return 0
    from clew import stats

    return stats().waiting + sum(stats().dropped.values())


def client(name: str, url: str) -> Any:
    module: Any = __import__("langfuse.openai" if row == "langfuse" else "openai")
    module = module.openai if row == "langfuse" else module
    return getattr(module, name)(api_key="none", base_url=url, max_retries=0)


def sync(calls: int) -> Iterator[float]:
    for _ in range(calls):
        begun = perf_counter()
        sync_client.chat.completions.create(**REQUEST)
        yield perf_counter() - begun


def asynchronous(calls: int) -> Iterator[float]:
    async def work(todo: list[int]) -> None:
        while todo:
            todo.pop()
            await async_client.chat.completions.create(**REQUEST)

    async def all_of_them() -> None:
        todo = list(range(calls))
        await asyncio.gather(*(work(todo) for _ in range(IN_FLIGHT)))

    begun = perf_counter()
    loop.run_until_complete(all_of_them())
    yield (perf_counter() - begun) / calls


def stream(calls: int) -> Iterator[float]:
    """Yield the time to the first token."""
    for _ in range(calls):
        begun = perf_counter()
        for chunk in slow_client.chat.completions.create(**REQUEST, stream=True):
            if begun and chunk.choices and chunk.choices[0].delta.content:
                yield perf_counter() - begun
                begun = 0.0


ROWS: dict[str, Callable[[], Traced]] = {
    "plain": plain,
    "bare": bare,
    "clew": clew,
    "clew_dead": clew,
    "clew_store": clew,
    "phoenix": phoenix,
    "phoenix_dead": phoenix,
    "phoenix_batch": lambda: phoenix(batch=True),
    "traceloop": traceloop,
    "langfuse": langfuse,
    "logfire": logfire,
}
WAYS = {"sync": sync, "async": asynchronous, "stream": stream}

flush, block = ROWS[row]()
sync_client, slow_client, async_client = (
    client("OpenAI", fast),
    client("OpenAI", slow),
    client("AsyncOpenAI", fast),
)
loop = asyncio.new_event_loop()
print(json.dumps(metadata.version("openai")), file=answers, flush=True)
for line in sys.stdin:
    way, calls, flushed = json.loads(line)
    cpu = process_time()
    with block():
        times = list(WAYS[way](calls))
    if flushed:
        flush()
    cpu = process_time() - cpu  # Including the export.
    result = {"times": times, "cpu": cpu / calls, "lost": lost()}
    print(json.dumps(result), file=answers, flush=True)
os._exit(0)  # The end of the process is not measured here.
