"""The repairs of LlamaIndex's instrumentor: defects gone with clew, and still in upstream."""

import pytest

pytest.importorskip("llama_index.llms.openai")

BEGIN = """
    import asyncio, gc
    from tests.integration.contract.recorder import Recorder
    from tests.landing.calls import llama_index as calls
    from tests.support.providers import ProviderServer

    recorder = Recorder()
    server = ProviderServer().start()
    messages = calls.messages()
    gc.freeze()  # So that a collection looks at what the test makes, and at no framework.

    def llm(**options):
        return calls.llm(server, **options)

    def with_clew():
        from clew import instrument_all
        assert instrument_all(only=["llamaindex"])["llamaindex"].state.value == "active"

    def with_upstream():
        from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
        LlamaIndexInstrumentor().instrument()

    def only():
        (span,) = recorder.spans
        assert span.end_time is not None and recorder.ends == [span.name], recorder.ends
        assert recorder.warnings == [], recorder.warnings
        return span
"""


@pytest.fixture
def program(python_in_the_tree):
    return lambda *parts: python_in_the_tree("".join((BEGIN, *parts)))


UNKNOWN = """
    from opentelemetry.trace import get_current_span

    CALLS = {
        "chat": lambda it: it.chat(messages),
        "complete": lambda it: it.complete("Where?"),
        "stream_chat": lambda it: list(it.stream_chat(messages)),
        "achat": lambda it: asyncio.run(it.achat(messages)),
    }

    def refused(call):
        recorder.clear()
        try:
            call(llm(model="unknown-x"))
        except ValueError:
            return get_current_span().get_span_context().is_valid
        raise SystemExit("it is known")
"""


def test_span_of_unknown_model_ends_and_is_not_left_current(program):
    program(
        UNKNOWN,
        """
    with_clew()
    for name, call in CALLS.items():
        assert not refused(call)
        span = only()
        assert span.name == f"OpenAI.{name}" and span.status.description.startswith("ValueError")
        assert span.attributes["llm.model_name"] == "unknown-x"
        assert span.attributes["openinference.span.kind"] == "LLM"
        recorder.clear()
        llm().chat(messages)
        assert only().parent is None
    """,
    )


def test_upstream_still_leaves_it_current(program):
    program(
        UNKNOWN,
        """
    with_upstream()
    assert refused(CALLS["chat"])
    assert recorder.open() == ["OpenAI.chat"]
    """,
    )


STREAMS = """
    def never_read():
        llm().stream_chat(messages)
    def never_read_but_closed():
        llm().stream_chat(messages).close()
    def half_read():
        stream = llm().stream_chat(messages)
        next(stream), next(stream), next(stream)
    def half_read_and_closed():
        stream = llm().stream_chat(messages)
        next(stream), next(stream), next(stream)
        stream.close()
        assert recorder.open() == []
    def completion_half_read():
        stream = llm().stream_complete("Where?")
        next(stream), next(stream), next(stream)
    def asynchronously(steps, closed=False):
        async def read():
            stream = await llm().astream_chat(messages)
            for _ in range(steps):
                await anext(stream)
            if closed:
                await stream.aclose()
                assert recorder.open() == []
        asyncio.run(read())

    UNREAD = (never_read, never_read_but_closed, lambda: asynchronously(0))
    READ = (half_read, half_read_and_closed, completion_half_read, lambda: asynchronously(3, True))
"""


def test_unfinished_stream_ends_its_span_once(program):
    program(
        STREAMS,
        """
    with_clew()
    for abandon in (*UNREAD, *READ):
        recorder.clear()
        abandon()
        gc.collect()
        span = only()
        assert span.status.status_code.name == "UNSET"
        assert span.attributes["openinference.span.kind"] == "LLM"
        assert ("output.value" in span.attributes) is (abandon in READ)
        if abandon in READ:
            assert "A short" in span.attributes["output.value"], span.attributes["output.value"]
    for read in (lambda: list(llm().stream_chat(messages)), lambda: asynchronously(99)):
        recorder.clear()
        try:
            read()
        except StopAsyncIteration:
            pass
        assert only().status.status_code.name == "OK"
    recorder.clear()
    server.fail(500, after_events=4)
    try:
        list(llm().stream_chat(messages))
    except Exception:
        span = only()
        assert not span.status.is_ok and "A short" in span.attributes["output.value"]
    else:
        raise SystemExit("it did not break")
    """,
    )


def test_uninstrument_all_undoes_the_repair(program):
    program(
        """
    from clew import uninstrument_all
    from openinference.instrumentation.llama_index import _handler, _stream
    owners = (_handler._Span, _handler._SpanHandler, _stream._ResponseStream)
    before = [dict(vars(owner)) for owner in owners]
    for _ in range(2):
        with_clew()
        assert [dict(vars(owner)) for owner in owners] != before
        llm().chat(messages)
        only()
        recorder.clear()
        uninstrument_all()
        now = [{name: it for name, it in vars(owner).items()} for owner in owners]
        changed = [
            name for then, own in zip(before, now) for name in {*then, *own}
            if then.get(name) is not own.get(name) and not name.startswith("_abc")
        ]
        assert changed == []
        llm().chat(messages)
        assert recorder.spans == []
    """
    )


def test_cancelled_call_ends_its_span(program):
    program(
        """
    with_clew()

    async def cancel(ask):
        recorder.clear()
        server.clear()
        server.hang()
        task = asyncio.create_task(ask())
        assert await asyncio.to_thread(server.wait_for, 1)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            assert "CancelledError" in only().status.description
            return server.release()
        raise SystemExit("it was not cancelled")

    async def read():
        return [part async for part in await llm().astream_chat(messages)]

    asyncio.run(cancel(lambda: llm().achat(messages)))
    asyncio.run(cancel(read))
    """
    )


def test_upstream_still_leaves_unfinished_streams_open_or_as_errors(program):
    program(
        STREAMS,
        """
    with_upstream()
    for abandon in UNREAD:
        recorder.clear()
        abandon()
        gc.collect()
        assert recorder.open(), abandon
    for abandon in READ:
        recorder.clear()
        abandon()
        gc.collect()
        (span,) = recorder.spans
        assert "GeneratorExit" in span.status.description
        assert "output.value" not in span.attributes
    """,
    )


QUERY = """
    from tests.landing.calls.llama_index import index

    def query(steps, closed=False):
        engine = index(server).as_query_engine(llm=llm(), streaming=True)
        recorder.clear()
        stream = engine.query("Where?").response_gen
        for _ in range(steps):
            if next(stream, None) is None:
                break
        if closed:
            stream.close()
        del stream
        gc.collect()
        return recorder.open()

    def statuses():
        '''What the spans that end with the stream say: of the query, of its parts, of the model.'''
        waiting = ("RetrieverQueryEngine.query", "CompactAndRefine.synthesize", "OpenAI.chat")
        found = {span.name: span.status.status_code.name for span in recorder.spans}
        return {found[name] for name in waiting if name in found} or found
"""


@pytest.fixture
def _embeddings():
    pytest.importorskip("llama_index.embeddings.openai")


@pytest.mark.usefixtures("_embeddings")
def test_spans_of_an_abandoned_query_end(program):
    program(
        QUERY,
        """
    with_clew()
    for steps, closed in ((0, False), (1, False), (1, True), (999, False), (999, True)):
        assert query(steps, closed) == []
        assert sorted(recorder.ends) == recorder.names() and recorder.warnings == []
        assert statuses() == {"OK" if steps == 999 else "UNSET"}, (steps, closed, statuses())
    """,
    )


@pytest.mark.usefixtures("_embeddings")
def test_upstream_still_leaves_spans_of_an_abandoned_query_open(program):
    program(
        QUERY,
        """
    with_upstream()
    assert "RetrieverQueryEngine.query" in query(1)
    query(1, closed=True)
    assert recorder.spans[0].status.status_code.name == "OK"
    """,
    )


THREADS = """
    import threading

    def sweepers():
        return [it for it in threading.enumerate() if "_sweep" in it.name]
"""


def test_no_thread_is_left_when_tracing_is_off(program):
    program(
        THREADS,
        """
    from clew import uninstrument_all
    for _ in range(3):
        with_clew()
        llm().chat(messages)
        (sweeper,) = sweepers()
        uninstrument_all()
        sweeper.join(10)
        assert sweepers() == []
    with_clew()
    stream = llm().stream_chat(messages)
    next(stream)
    uninstrument_all()
    list(stream)
    """,
    )


def test_upstream_still_leaves_a_thread(program):
    program(
        THREADS,
        """
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
    for number in range(1, 4):
        with_upstream()
        llm().chat(messages)
        LlamaIndexInstrumentor().uninstrument()
        gc.collect()
        assert len(sweepers()) == number
    """,
    )
