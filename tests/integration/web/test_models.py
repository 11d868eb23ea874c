"""A handler that calls a model: the framework's spans are in the session of the request."""

from collections import Counter

import pytest
from opentelemetry.sdk.trace import TracerProvider

import clew
from clew.web.asgi import SessionMiddleware
from tests.integration.web.asgi_apps import OPTIONS, Work
from tests.integration.web.conftest import Telemetry
from tests.integration.web.recorder import ASGIProbe, Recorder
from tests.support.providers import ProviderServer

httpx = pytest.importorskip("httpx")
openai = pytest.importorskip("openai")
pytest.importorskip("fastapi")

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
ROWS = {
    "sync": ["handler"],
    "async": ["handler"],
    "stream": ["chunk"],
    "background": ["handler"],
}


@pytest.fixture
def traced():
    """Instrument all, as an application does."""
    provider, recorder = TracerProvider(shutdown_on_exit=False), Recorder()
    clew.instrument_all(tracer_provider=provider, only=["openai"])
    provider.add_span_processor(recorder)
    yield Telemetry(provider, recorder)
    clew.uninstrument_all()


def application(tracer, url):
    from fastapi import BackgroundTasks, FastAPI
    from fastapi.responses import StreamingResponse

    app, work = FastAPI(), Work(tracer)
    options = {"base_url": url, "api_key": "none", "max_retries": 0}

    def ask(**more):
        return openai.OpenAI(**options).chat.completions.create(**ASKED, **more)

    @app.get("/sync")
    def sync():
        work("handler")
        ask()

    @app.get("/async")
    async def handle_async():
        work("handler")
        async with openai.AsyncOpenAI(**options) as client:
            await client.chat.completions.create(**ASKED)

    @app.get("/stream")
    def stream():
        answer = ask(stream=True)

        def read():
            for _ in answer:
                pass
            work("chunk")
            yield b"read"

        return StreamingResponse(read())

    @app.get("/background")
    def background(tasks: BackgroundTasks):
        work("handler")
        tasks.add_task(ask)

    return app


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("way", ["bare", "outside", "inside"])
def test_a_model_called_in_a_request(row, way, traced, serve):
    provider = {"tracer_provider": traced.provider}
    with ProviderServer() as models:
        app = application(traced.tracer, models.openai_url)
        if way != "bare":
            fastapi = pytest.importorskip("opentelemetry.instrumentation.fastapi")
            fastapi.FastAPIInstrumentor.instrument_app(app, **provider)
        if way == "inside":
            app = SessionMiddleware(app, **OPTIONS)
        else:
            app.add_middleware(SessionMiddleware, **OPTIONS)
        with serve(ASGIProbe(app, traced.recorder)) as url:
            headers = {"x-session-id": "chat-42", "cookie": "uid=ada"}
            assert httpx.get(f"{url}/{row}", headers=headers).status_code == 200
            record = traced.recorder.after(1)
    assert {(span.session, span.user) for span in record.spans} == {("chat-42", "ada")}
    assert record.names("chat-42") == Counter(ROWS[row])
    assert len([span for span in record.spans if "openinference" in span.scope]) == 1
    assert len(record.servers) == (way != "bare")
