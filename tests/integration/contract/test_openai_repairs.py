"""The repairs of OpenAI's instrumentor: defects gone with clew, and still in upstream."""

import pytest

pytest.importorskip("openai")

BEGIN = """
    import asyncio
    import httpx
    from tests.integration.contract.recorder import Recorder
    from tests.landing.calls.openai import async_client, client
    from tests.support.providers import ProviderServer

    recorder = Recorder()
    server = ProviderServer().start()
    CUT = {"model": "gpt-4o", "input": "Tell a story", "max_output_tokens": 2, "stream": True}

    class Failing(httpx.HTTPTransport):
        '''The answer fails at its end.'''

        def handle_request(self, request):
            found = super().handle_request(request)
            body = found.read().replace(b"response.incomplete", b"response.failed")
            error = b'"error":{"code":"server_error","message":"gone"}'
            body = body.replace(b'"error":null', error)
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    def read(**options):
        with client(server, **options) as openai, openai.responses.create(**CUT) as stream:
            return [event.type for event in stream][-1]

    async def read_async():
        async with async_client(server) as openai:
            stream = await openai.responses.create(**CUT)
            return [event.type async for event in stream][-1]

    CALLS = {
        "response.incomplete": (read, lambda: asyncio.run(read_async())),
        "response.failed": (lambda: read(http_client=httpx.Client(transport=Failing())),),
    }
"""


@pytest.fixture
def program(python_in_the_tree):
    return lambda *parts: python_in_the_tree("".join((BEGIN, *parts)))


def test_a_streamed_response_that_is_cut_has_its_answer_and_its_tokens(program):
    program(
        """
    from clew import instrument_all, uninstrument_all
    from clew.sessions.finish_reasons import finish_reason
    instrument_all(only=["openai"])
    for end, calls in CALLS.items():
        for call in calls:
            recorder.clear()
            server.clear()
            assert call() == end
            (span,) = recorder.models()
            assert recorder.tokens() == server.usage and server.usage.total
            content = "llm.output_messages.0.message.contents.0.message_content.text"
            assert span.attributes[content] == "A short", dict(span.attributes)
            assert finish_reason(span.attributes) == "max_output_tokens"
            failed = end == "response.failed"
            assert span.status.is_ok is not failed, span.status
            assert span.status.description == ("server_error: gone" if failed else None)
    uninstrument_all()
    assert recorder.warnings == [], recorder.warnings
    """
    )


def test_upstream_still_takes_only_what_is_completed(program):
    program(
        """
    from openinference.instrumentation.openai import OpenAIInstrumentor
    OpenAIInstrumentor().instrument()
    for end, calls in CALLS.items():
        for call in calls:
            recorder.clear()
            assert call() == end
            (span,) = recorder.models()
            assert "llm.token_count.total" not in span.attributes
            assert "output.value" not in span.attributes
            assert span.status.is_ok
    """
    )
