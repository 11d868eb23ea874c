"""FastAPI's own telemetry loses the context of a request; clew restores its ids."""

import pytest


@pytest.mark.parametrize("threads", ["async def", "def"])
def test_a_request_to_fastapi_with_a_global_tracer_provider(python, threads):
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    python(f"""
        import asyncio
        import httpx
        from fastapi import FastAPI
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from clew import current, instrument_all
        from clew.web import from_header
        from clew.web.asgi import SessionMiddleware

        memory = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(memory))
        trace.set_tracer_provider(provider)
        instrument_all()
        app = FastAPI()

        @app.get("/")
        {threads} handle():
            trace.get_tracer("an-application").start_span("handler").end()
            return current().session_id

        served = SessionMiddleware(app, session=from_header("x-session-id"))

        async def main():
            transport = httpx.ASGITransport(served)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                for session in ("chat-1", "chat-2"):
                    answer = await client.get("/", headers={{"x-session-id": session}})
                    assert answer.json() == session
                assert (await client.get("/")).json() is None
            assert not current()

        asyncio.run(main())
        sessions = [span.attributes.get("session.id") for span in memory.get_finished_spans()]
        assert set(sessions) == {{"chat-1", "chat-2", None}}, sessions
        assert sessions.count("chat-1") == sessions.count("chat-2") >= 1
    """)
