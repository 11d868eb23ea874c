"""What gunicorn serves in the tests: Flask or Django, as the environment says.

``WEB_WAY`` says where OpenTelemetry's instrumentation is, seen from our middleware, and whose.
"""

import os
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import clew
from clew import using_session, using_user
from clew.core import containment
from clew.web import from_cookie, from_header
from clew.web.wsgi import SessionMiddleware
from tests.integration.web.recorder import APPLICATION, Recorder, WSGIProbe

ROWS = {
    "plain": ["handler"],
    "stream": ["handler", "chunk 0", "chunk 1", "chunk 2", "closed"],
    "error": ["handler"],
    "openai": ["handler"],
    "raw-write": ["before", "after"],
    "raw-generator": ["chunk 0", "chunk 1", "chunk 2", "closed"],
    "raw-closing": ["handler", "closed"],
}

tracer = trace.get_tracer(APPLICATION)


def work(name: str, told: str = "") -> None:
    with tracer.start_as_current_span(name) as span:
        span.set_attribute("told", told)


def chunks() -> Any:
    try:
        for number in range(3):
            work(f"chunk {number}")
            yield b"chunk"
    finally:
        work("closed")


def ask_openai() -> None:
    from openai import OpenAI

    client = OpenAI(base_url=os.environ["WEB_OPENAI"], api_key="none", max_retries=0)
    messages: Any = [{"role": "user", "content": "Hello"}]
    client.chat.completions.create(model="gpt-4o", messages=messages)
    list(client.chat.completions.create(model="gpt-4o", messages=messages, stream=True))


def late() -> None:
    with using_session("learnt late"), using_user("bob"):
        work("handler")


# --- without a framework ---


def raw_write(_environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", [])
    work("before")
    write(b"written")
    work("after")
    return []


def raw_generator(_environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    yield from chunks()


class Closing(list[bytes]):
    def close(self) -> None:
        work("closed")


def raw_closing(_environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    work("handler")
    return Closing([b"closing"])


def raw_endless(_environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    try:
        for _ in range(10_000):
            work("chunk")
            yield bytes(100_000)
    finally:
        work("closed")


# --- with one ---


def flask_app(way: str) -> Any:
    from flask import Flask, Response, request

    app = Flask("flask_app")

    @app.get("/plain")
    def plain():
        work("handler", request.headers.get("x-session-id", ""))
        return "plain"

    @app.get("/stream")
    def stream():
        work("handler")
        return Response(chunks())

    @app.get("/error")
    def error():
        work("handler")
        raise LookupError

    @app.get("/openai")
    def openai():
        work("handler")
        ask_openai()
        return "openai"

    @app.get("/late")
    def handle_late():
        late()
        return "late"

    if way == "framework":
        from opentelemetry.instrumentation.flask import FlaskInstrumentor

        FlaskInstrumentor().instrument_app(app)
    return app


def django_app(way: str) -> Any:
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path

    def plain(request):
        work("handler", request.headers.get("x-session-id", ""))
        return HttpResponse(b"plain")

    def stream(_request):
        work("handler")
        return StreamingHttpResponse(chunks())

    def error(_request):
        work("handler")
        raise LookupError

    def openai(_request):
        work("handler")
        ask_openai()
        return HttpResponse(b"openai")

    def handle_late(_request):
        late()
        return HttpResponse(b"late")

    views = {
        "plain": plain,
        "stream": stream,
        "error": error,
        "openai": openai,
        "late": handle_late,
    }
    urls = type("urls", (), {"urlpatterns": [path(name, view) for name, view in views.items()]})
    settings.configure(
        ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None, MIDDLEWARE=[], ROOT_URLCONF=urls, SECRET_KEY="key"
    )
    if way == "framework":
        from opentelemetry.instrumentation.django import DjangoInstrumentor

        DjangoInstrumentor().instrument()
    return get_wsgi_application()


APPS = {"flask": flask_app, "django": django_app}
RAW = {
    "/raw-write": raw_write,
    "/raw-generator": raw_generator,
    "/raw-closing": raw_closing,
    "/raw-endless": raw_endless,
}


def assembled() -> Any:
    """Return the application that the environment asks for."""
    containment.reraise = True
    recorder = Recorder(os.environ["WEB_RECORD"])
    provider = TracerProvider()
    trace.set_tracer_provider(provider)
    clew.instrument_all()
    provider.add_span_processor(recorder)
    way = os.environ["WEB_WAY"]
    framework = APPS[os.environ["WEB_FRAMEWORK"]](way)

    def app(environ: Any, start_response: Any) -> Any:
        return RAW.get(environ["PATH_INFO"], framework)(environ, start_response)

    served: Any = app
    if way == "inside":
        served = instrumented(served)
    served = SessionMiddleware(served, session=from_header("x-session-id"), user=from_cookie("uid"))
    if way == "outside":
        served = instrumented(served)
    return WSGIProbe(served, recorder)


def instrumented(app: Any) -> Any:
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

    return OpenTelemetryMiddleware(app)


if "WEB_WAY" in os.environ:
    application = assembled()
