"""Answers of OpenAI's that the application reads itself, or leaves half-way."""

import pytest

pytest.importorskip("openai")

BEGIN = """
    import asyncio
    import gc
    import gzip
    import httpx
    import warnings
    from tests.integration.contract.recorder import Recorder
    from tests.landing.calls.openai import MESSAGES, async_client, client
    from tests.support.providers import ProviderServer

    recorder = Recorder()
    server = ProviderServer().start()
    WHOLE = {"model": "gpt-4o", "messages": MESSAGES}
    STREAM = WHOLE | {"stream": True, "stream_options": {"include_usage": True}}
    ASKED = {"model": "gpt-4o", "input": "Where?"}
    warnings.simplefilter("error")

    def request(openai, asked):
        calls = openai.chat.completions if "messages" in asked else openai.responses
        return calls.with_streaming_response.create(**asked)

    def reading(read, asked=WHOLE, **options):
        with client(server, **options) as openai, request(openai, asked) as response:
            return read(response)

    def reading_async(read, asked=WHOLE):
        async def main():
            async with async_client(server) as openai, request(openai, asked) as response:
                return await read(response)
        return asyncio.run(main())

    async def lines(response):
        return [line async for line in response.iter_lines()]

    async def parsed(response):
        return [event async for event in await response.parse()]
"""
CLEW = """
    from clew import instrument_all, uninstrument_all
    from clew.core import containment
    containment.reraise = True
    instrument_all(only=["openai"])

    def found():
        (span,) = recorder.models()
        assert recorder.open() == [], "it is still open"
        spans = recorder.spans[:]
        output = span.attributes.get("output.value", "")
        tokens = recorder.tokens().total
        recorder.clear()
        return span.status.status_code.name, "A short" in output, tokens
"""


@pytest.fixture
def program(python_in_the_tree):
    return lambda *parts: python_in_the_tree("".join((BEGIN, *parts)))


def test_what_the_application_reads_itself_is_recorded(program):
    program(
        CLEW,
        """
    WAYS = {
        "parse": lambda it: it.parse(),
        "other type": lambda it: it.parse(to=object),
        "read": lambda it: it.read(),
        "json": lambda it: it.json(),
        "text": lambda it: it.text(),
        "bytes": lambda it: list(it.iter_bytes(7)),
        "lines": lambda it: list(it.iter_lines()),
        "raw": lambda it: list(it.http_response.iter_raw()),
    }
    STREAMS = ("bytes", "lines", "raw", "read")
    for asked in (WHOLE, ASKED):
        for way, read in WAYS.items():
            server.clear()
            assert reading(read, asked)
            assert found() == ("OK", True, server.usage.total), way
    for asked in (STREAM, ASKED | {"stream": True}):
        for way in STREAMS:
            server.clear()
            assert reading(WAYS[way], asked)
            assert found() == ("OK", True, server.usage.total), way
        server.clear()
        assert reading(lambda it: [*it.parse()], asked)
        assert found() == ("OK", True, server.usage.total)
    for asked, read in ((WHOLE, lambda it: it.parse()), (STREAM, parsed), (STREAM, lines),
                        (ASKED, lambda it: it.json()), (ASKED | {"stream": True}, parsed)):
        server.clear()
        assert reading_async(read, asked)
        assert found() == ("OK", True, server.usage.total), asked

    events = []
    def first(response):
        next(response.iter_lines())
        events.extend(recorder.spans[0].events)
        assert [it.name for it in events] == ["First Token Stream Event"]
        return response
    held = reading(first, STREAM)
    assert [it.name for it in recorder.spans[0].events] == [events[0].name]
    assert found() == ("UNSET", False, 0)
    uninstrument_all()
    assert reading(WAYS["parse"]).choices and recorder.spans == []
    assert recorder.warnings == [], recorder.warnings
    """,
    )


def test_what_is_read_in_part_or_fails_is_recorded_so(program):
    program(
        CLEW,
        """
    def half(response):
        stream = response.parse()
        return [next(stream) for _ in range(5)], stream
    held = reading(half, STREAM)
    status, has_text, tokens = found()
    assert (status, tokens) == ("UNSET", 0) and has_text
    held = reading(lambda it: it, STREAM)
    assert found() == ("UNSET", False, 0)
    held = reading(lambda it: it)
    assert found() == ("UNSET", False, 0)
    async def half_async(response):
        async for _line in response.iter_lines():
            return response
    held = reading_async(half_async, STREAM)
    assert found() == ("UNSET", False, 0)
    dropped = request(client(server), WHOLE).__enter__()
    assert recorder.open()
    del dropped
    gc.collect()
    assert found() == ("UNSET", False, 0)

    async def cancelled(response):
        async for _line in response.iter_lines():
            asyncio.current_task().cancel()
    server.hang(after_events=1)
    try:
        reading_async(cancelled, STREAM)
    except asyncio.CancelledError:
        server.release()
    status, _, tokens = found()
    assert (status, tokens) == ("ERROR", 0)

    for read in (lambda it: list(it.parse()), lambda it: list(it.iter_lines())):
        server.fail(500, after_events=2)
        try:
            reading(read, STREAM)
        except Exception as error:
            raised = type(error).__name__
        assert recorder.spans[0].status.status_code.name == "ERROR", raised
        assert [it.name for it in recorder.spans[0].events].count("exception") == 1
        assert recorder.spans[0].status.description
        found()
    server.clear()
    assert recorder.warnings == [], recorder.warnings
    """,
    )


def test_compressed_and_binary_answers_and_those_read_by_the_client(program):
    program(
        CLEW,
        """
    def answer(asked):
        return reading(lambda it: it.read(), asked)

    class Answering(httpx.BaseTransport):
        def __init__(self, headers, **content):
            self.made = lambda: httpx.Response(200, headers=headers, **content)

        def handle_request(self, request):
            return self.made()

    def via(headers, content):
        return {"http_client": httpx.Client(transport=Answering(headers, **content))}

    KINDS = ((WHOLE, "application/json"), (STREAM, "text/event-stream"))
    for asked, kind in KINDS:
        body = answer(asked)
        usage = found()[2]
        assert usage
        compressed = {"content-type": kind, "content-encoding": "gzip"}
        for headers, content in (
            (compressed, {"stream": httpx.ByteStream(gzip.compress(body))}),
            (compressed, {"content": gzip.compress(body)}),
            ({"content-type": kind}, {"content": body}),
        ):
            assert reading(lambda it: it.read(), asked, **via(headers, content)) == body
            assert found() == ("OK", True, usage)

    sound = via({"content-type": "audio/mpeg"}, {"stream": httpx.ByteStream(b"A short sound")})
    with client(server, **sound) as openai:
        speech = openai.audio.speech.with_streaming_response
        with speech.create(model="tts-1", voice="alloy", input="Hello") as response:
            assert not response.http_response.is_closed
            assert b"".join(response.iter_bytes()) == b"A short sound"
    (span,) = recorder.spans
    assert span.status.is_ok and recorder.open() == []
    assert "output.value" not in span.attributes
    assert recorder.warnings == [], recorder.warnings
    """,
    )


LEFT = """
    def left():
        with client(server) as openai, openai.chat.completions.stream(**WHOLE) as stream:
            return next(stream) and stream

    def left_responses():
        with client(server) as openai, openai.responses.stream(**ASKED) as stream:
            return next(stream) and stream

    async def left_async():
        async with async_client(server) as openai:
            async with openai.chat.completions.stream(**WHOLE) as stream:
                return await anext(stream) and stream

    async def left_responses_async():
        async with async_client(server) as openai:
            async with openai.responses.stream(**ASKED) as stream:
                return await anext(stream) and stream

    LEFT = (
        left, left_responses,
        lambda: asyncio.run(left_async()), lambda: asyncio.run(left_responses_async()),
    )
"""


def test_a_helper_that_is_left_ends_its_span(program):
    program(
        CLEW,
        LEFT,
        """
    for leave in LEFT:
        held = leave()
        assert found()[0] == "UNSET"
    with client(server) as openai, openai.chat.completions.stream(**WHOLE) as stream:
        assert list(stream)
    assert found()[:2] == ("OK", True)
    uninstrument_all()
    assert left() and recorder.spans == []
    assert recorder.warnings == [], recorder.warnings
    """,
    )


def test_upstream_still_reads_first_and_leaves_spans_open(program):
    program(
        LEFT,
        """
    from openinference.instrumentation.openai import OpenAIInstrumentor
    OpenAIInstrumentor().instrument()
    try:
        reading(lambda it: list(it.http_response.iter_raw()))
    except httpx.StreamConsumed:
        pass
    else:
        raise SystemExit("it was not read")
    held = reading(lambda it: (it, list(it.iter_lines())), STREAM)
    assert recorder.open() == ["ChatCompletion"]
    del held
    recorder.clear()
    warnings.simplefilter("ignore")
    assert reading_async(lambda it: it.parse()).choices
    assert "coroutine" in recorder.spans[0].attributes["output.value"]
    for leave in LEFT:
        recorder.clear()
        held = leave()
        assert len(recorder.open()) == 1
    """,
    )
