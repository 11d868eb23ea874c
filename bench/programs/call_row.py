"""One row of ``call.py``: an application that calls OpenAI when it is told to, traced or not.

Its arguments are the row, the provider's address, that of a provider who takes his time, and the
collector's. A line on standard input says how to call and how often; the answer is one line of
JSON. Besides openai it imports only what its row names, so that each can have an environment of
its own.
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
os.dup2(2, 1)  # Some of what is compared greets on standard output.
SESSION, USER = "chat-42", "ada"
IN_FLIGHT = 4
ASKED: Any = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "You are a friend of long answers."},
        {"role": "user", "content": "Why does the thread lead out of the labyrinth? " * 4},
    ],
}
Flush = Callable[[], object]
Block = Callable[[], AbstractContextManager[Any]]
Traced = tuple[Flush, Block]
"""What delivers the spans, and the block in which the calls are made."""


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


def lost() -> int:
    """Return how many spans have been made that a dead collector does not take."""
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
        ask.chat.completions.create(**ASKED)
        yield perf_counter() - begun


def asynchronous(calls: int) -> Iterator[float]:
    async def work(todo: list[int]) -> None:
        while todo:
            todo.pop()
            await ask_later.chat.completions.create(**ASKED)

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
        for chunk in ask_slowly.chat.completions.create(**ASKED, stream=True):
            if begun and chunk.choices and chunk.choices[0].delta.content:
                yield perf_counter() - begun
                begun = 0.0


ROWS: dict[str, Callable[[], Traced]] = {
    "plain": plain,
    "bare": bare,
    "clew": clew,
    "clew_dead": clew,
    "phoenix": phoenix,
    "phoenix_dead": phoenix,
    "phoenix_batch": lambda: phoenix(batch=True),
    "traceloop": traceloop,
    "langfuse": langfuse,
}
WAYS = {"sync": sync, "async": asynchronous, "stream": stream}

flush, block = ROWS[row]()
ask, ask_slowly, ask_later = (
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
    cpu = process_time() - cpu  # The export included.
    said = {"times": times, "cpu": cpu / calls, "lost": lost()}
    print(json.dumps(said), file=answers, flush=True)
os._exit(0)  # How long the end takes is not measured here.
