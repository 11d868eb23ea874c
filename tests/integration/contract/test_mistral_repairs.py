"""Mistral's repairs, each with a second test that fails once upstream has mended the defect."""

import pytest

MISTRAL = """
    import asyncio, contextlib, contextvars, gc, logging
    from contextlib import suppress
    from opentelemetry import trace
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from openinference.instrumentation.mistralai import MistralAIInstrumentor
    from clew.core import containment
    from clew import current, instrument_all, uninstrument_all
    from mistralai.client import Mistral
    from mistralai.client.utils.eventstreaming import EventStream, EventStreamAsync
    from tests.landing.calls.mistralai import CODE, MESSAGES, MODEL, SOUND, TALK, client
    from tests.support.providers import ProviderServer

    containment.reraise = True

    class Recorder(SpanProcessor):
        def __init__(self): self.started, self.ended = [], []
        def on_start(self, span, parent_context=None):
            if span.instrumentation_scope.name.startswith("openinference"):
                self.started.append(span)
        def on_end(self, span): self.ended.append(span.context.span_id)

    recorder = Recorder()
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(recorder)

    class FailOnWarning(logging.Handler):
        def emit(self, record): raise SystemExit(record.getMessage())

    logging.getLogger("opentelemetry.context").addHandler(FailOnWarning())
    server = ProviderServer().start()
    gc.freeze()  # So that a collection looks at what the test makes, and at no framework.
    CHAT = {"model": MODEL, "messages": MESSAGES}

    def streams(mistral):
        yield mistral.chat.stream, CHAT
        yield mistral.agents.stream, {"agent_id": "ag-1", "messages": MESSAGES}
        yield mistral.fim.stream, CODE
        yield mistral.audio.transcriptions.stream, SOUND
        yield mistral.beta.conversations.start_stream, TALK

    def async_streams(mistral):
        for method, arguments in streams(mistral):
            yield getattr(method.__self__, method.__name__ + "_async"), arguments

    def completions(mistral):
        yield mistral.chat.complete_async, CHAT
        yield mistral.agents.complete_async, {"agent_id": "ag-1", "messages": MESSAGES}
        yield mistral.fim.complete_async, CODE
        yield mistral.embeddings.create_async, {"model": "mistral-embed", "inputs": ["one"]}
        yield mistral.beta.conversations.start_async, TALK

    def outcome():
        '''The status of the only span, and the words of its output; it ended once.'''
        gc.collect()
        assert not current()
        (span,) = recorder.started
        times = recorder.ended.count(span.context.span_id)
        raised = [event.attributes["exception.type"] for event in span.events
                  if event.name == "exception"]
        recorder.started.clear()
        server.clear()
        return times, span.status.status_code.name, raised, span.attributes.get("output.value", "")

    async def cancel_in_flight(call):
        server.hang()
        task = asyncio.create_task(call)
        assert await asyncio.to_thread(server.wait_for, 1)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        server.release()
"""


@pytest.fixture
def mistral(python, monkeypatch, request):
    """Run code after the setup above, in a new interpreter."""
    pytest.importorskip("mistralai.client")
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    return lambda code: python(MISTRAL + code)


AS_A_CONTEXT_MANAGER = """
    async def main():
        async with client(server) as mistral:
            for method, arguments in list(async_streams(mistral))[:2]:
                async with await method(**arguments) as events:
                    async for _ in events: break
                assert events.response.is_closed
"""


def test_async_stream_is_a_context_manager(mistral):
    mistral(
        AS_A_CONTEXT_MANAGER
        + """
    instrument_all()
    asyncio.run(main())
    """
    )


def test_upstreams_async_stream_is_still_no_context_manager(mistral):
    mistral(
        AS_A_CONTEXT_MANAGER
        + """
    asyncio.run(main())
    MistralAIInstrumentor().instrument()
    try:
        asyncio.run(main())
    except TypeError as error:
        assert "asynchronous context manager" in str(error), error
    else:
        raise SystemExit("upstream has mended it")
    """
    )


def test_stream_works_as_without_instrumentation(mistral):
    mistral("""
    async def observed():
        seen = []
        async with client(server) as mistral:
            for method, arguments in streams(mistral):
                with method(**arguments) as events:
                    first = next(events)
                    seen += [type(events).__name__, isinstance(events, EventStream), type(first)]
                    seen += [events.response.status_code, len(list(events)), list(events)]
                seen += [events.response.is_closed, next(events, None)]
                events = method(**arguments)
                seen += [iter(events) is events, type(events).__doc__]
                events.response.close()
            for method, arguments in async_streams(mistral):
                events = await method(**arguments)
                seen += [type(events).__name__, isinstance(events, EventStreamAsync)]
                seen += [aiter(events) is events, events.response.status_code]
                async with events as same:
                    assert same is events
                    seen += [type(await anext(events)), len([it async for it in events])]
                seen += [events.response.is_closed, [it async for it in events]]
                if hasattr(events, "close"):
                    seen += [await events.close()]
        return seen

    bare = asyncio.run(observed())
    for _ in range(2):
        instrument_all()
        assert asyncio.run(observed()) == bare
        assert len(recorder.started) == 15
        recorder.started.clear()
        uninstrument_all()
        assert asyncio.run(observed()) == bare
        assert not recorder.started
    """)


CANCELLED = """
    async def main(*calls):
        found = []
        async with client(server) as mistral:
            for method, arguments in [it for listed in calls for it in listed(mistral)]:
                await cancel_in_flight(method(**arguments))
                if recorder.started:
                    found.append(outcome()[:3])
        return found
"""


def test_span_of_cancelled_call_ends(mistral):
    mistral(
        CANCELLED
        + """
    instrument_all()
    found = asyncio.run(main(completions, async_streams))
    assert found == [(1, "ERROR", ["asyncio.exceptions.CancelledError"])] * 10, found
    """
    )


def test_upstream_still_leaves_span_of_cancelled_call_open(mistral):
    mistral(
        CANCELLED
        + """
    MistralAIInstrumentor().instrument()
    found = asyncio.run(main(completions))
    assert found == [(0, "UNSET", [])] * 2, found
    """
    )


def test_call_that_ends_in_another_context_leaves_nothing_attached(mistral):
    mistral("""
    instrument_all()

    async def main():
        async with client(server) as mistral:
            for method, arguments in [*completions(mistral), *async_streams(mistral)]:
                server.hang()
                call = method(**arguments)
                task = asyncio.create_task(call)
                assert await asyncio.to_thread(server.wait_for, 1)
                with suppress(RuntimeError):  # It may want to await something first.
                    contextvars.Context().run(call.close)
                task.cancel()
                with suppress(asyncio.CancelledError, RuntimeError):
                    await task
                server.release()
                assert not trace.get_current_span().get_span_context().is_valid
                assert outcome()[:2] == (1, "ERROR")

    asyncio.run(main())
    """)


def test_span_ends_however_the_stream_ends(mistral):
    mistral("""
    instrument_all()
    broken = []

    def read_all(events): assert len(list(events)) > 1
    def never_read(events): pass
    def abandoned(events): next(events), next(events)
    def left(events):
        next(events), next(events)
        with events: pass
    def closed(events):
        next(events), next(events)
        events.close()
        assert events.response.is_closed
    def left_by_an_error(events):
        with suppress(LookupError), events:
            next(events), next(events)
            raise LookupError

    with client(server) as mistral:
        for method, arguments in streams(mistral):
            for read in (read_all, never_read, abandoned, left, closed):
                read(method(**arguments))
                times, status, raised, output = outcome()
                expected = "OK" if read is read_all else "UNSET"
                assert (times, status, raised) == (1, expected, []), (read, status)
                assert bool(output) is (read is not never_read), (read, output)
            left_by_an_error(method(**arguments))
            assert outcome()[:3] == (1, "ERROR", ["LookupError"])
            server.fail(500, after_events=3)
            with suppress(Exception):
                read_all(method(**arguments))
                raise SystemExit("it did not break off")
            times, status, raised, output = outcome()
            assert (times, status, len(raised)) == (1, "ERROR", 1), (status, raised)
            assert output
    """)


def test_span_ends_however_the_async_stream_ends(mistral):
    mistral("""
    instrument_all()

    async def read_all(call): assert len([it async for it in await call]) > 1
    async def never_read(call): await call
    async def abandoned(call):
        events = await call
        await anext(events), await anext(events)
    async def left(call):
        async with await call as events:
            await anext(events), await anext(events)
    async def closed(call):
        events = await call
        await anext(events), await anext(events)
        await events.aclose()
        assert events.response.is_closed
    async def closed_by_the_sdks_method(call):
        events = await call
        await anext(events), await anext(events)
        await (events.close() if hasattr(events, "close") else events.aclose())
    async def closed_by_the_standard_library(call):
        async with contextlib.aclosing(await call) as events:
            await anext(events), await anext(events)
    async def stopped(call):
        async def reading():
            async for event in await call: yield event
        events = reading()
        await anext(events), await anext(events)
        await events.aclose()
    async def half_read(call, reading):
        async with await call as events:
            await anext(events), await anext(events)
            reading.set()
            await asyncio.Event().wait()

    async def main():
        async with client(server) as mistral:
            for method, arguments in async_streams(mistral):
                for read in (read_all, never_read, abandoned, left, closed, stopped,
                             closed_by_the_sdks_method, closed_by_the_standard_library):
                    await read(method(**arguments))
                    times, status, raised, output = outcome()
                    expected = "OK" if read is read_all else "UNSET"
                    assert (times, status, raised) == (1, expected, []), (read, status)
                    assert bool(output) is (read is not never_read), (read, output)
                reading = asyncio.Event()
                task = asyncio.create_task(half_read(method(**arguments), reading))
                await reading.wait()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                times, status, raised, output = outcome()
                assert (times, status) == (1, "ERROR")
                assert raised == ["asyncio.exceptions.CancelledError"] and output
                server.fail(500, after_events=3)
                with suppress(Exception):
                    await read_all(method(**arguments))
                    raise SystemExit("it did not break off")
                found = outcome()
                assert found[:2] == (1, "ERROR"), (method, found)

    asyncio.run(main())
    """)


def test_span_of_unawaited_stream_ends(mistral):
    mistral("""
    instrument_all()
    for method, arguments in list(async_streams(client(server)))[:2]:
        method(**arguments).close()
        assert outcome() == (1, "UNSET", [], "")
    """)


def test_upstream_still_does_not_set_ok_for_a_stream(mistral):
    mistral("""
    MistralAIInstrumentor().instrument()

    async def main():
        async with client(server) as mistral:
            assert [it async for it in await mistral.chat.stream_async(**CHAT)]

    asyncio.run(main())
    assert outcome()[:2] == (1, "UNSET")
    """)


def test_uninstrument_all_removes_the_repairs(mistral):
    mistral("""
    from openinference.instrumentation.mistralai import _chat_wrapper as wrappers
    from mistralai.client.fim import Fim

    def patched():
        return (vars(wrappers._WithTracer)["_start_as_current_span"],
                vars(wrappers._WithMistralAI)["_finalize_response"], vars(Fim)["complete"])

    before = patched()
    for _ in range(2):
        instrument_all()
        assert not {*map(id, patched())} & {*map(id, before)}
        uninstrument_all()
        assert patched() == before
        assert [*map(type, patched())] == [*map(type, before)]
    """)
