"""FastAPI and Starlette applications with a route for each kind of handler."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from clew import using_session, using_user
from clew.web import from_cookie, from_header
from clew.web.asgi import SessionMiddleware

OPTIONS: dict[str, Any] = {"session": from_header("x-session-id"), "user": from_cookie("uid")}

WAYS = ("bare", "wrapped", "outside", "inside", "framework outside", "framework inside")
"""Where OpenTelemetry's middleware is relative to clew's, and which: ASGI's or the framework's."""

ROWS = {
    "async": ["handler"],
    "sync": ["handler"],
    "stream-sync": ["handler", "chunk 0", "chunk 1", "chunk 2", "closed"],
    "stream-async": ["handler", "chunk 0", "chunk 1", "chunk 2", "closed"],
    "background": ["handler", "task", "async task"],
    "error": ["handler"],
}
DEPENDS = ["set-up", "handler", "tear-down"]
FASTAPI_ROWS = {**ROWS, "depends-sync": DEPENDS, "depends-async": DEPENDS}


class Work:
    """Makes spans of the application's own."""

    def __init__(self, tracer: Any) -> None:
        self.tracer = tracer

    def __call__(self, name: str, request: Any = None) -> None:
        with self.tracer.start_as_current_span(name) as span:
            if request is not None:
                span.set_attribute("told", request.headers.get("x-session-id", ""))

    def chunks(self):
        try:
            for number in range(3):
                self(f"chunk {number}")
                yield b"chunk"
        finally:
            self("closed")

    async def async_chunks(self):
        try:
            for number in range(3):
                await asyncio.sleep(0)
                self(f"chunk {number}")
                yield b"chunk"
        finally:
            self("closed")

    async def endless(self):
        try:
            self("chunk")
            yield b"chunk"
            await asyncio.Event().wait()
        finally:
            self("closed")

    async def task(self):
        await asyncio.sleep(0)
        self("async task")

    async def talk(self, websocket):
        self("connected")
        await websocket.accept()
        async for text in websocket.iter_text():
            if text == "as before":
                self(text)
            else:
                with using_session(text):
                    self("message")
            await websocket.send_text("done")
        self("disconnected")


def late(work: Work) -> None:
    with using_session("learnt late"), using_user("bob"):
        work("handler")


def fastapi_app(tracer: Any) -> Any:
    from fastapi import BackgroundTasks, FastAPI, Request, WebSocket
    from fastapi.responses import StreamingResponse

    app, work = FastAPI(), Work(tracer)

    @app.get("/async")
    async def handle_async(request: Request):
        work("handler", request)

    @app.get("/sync")
    def handle_sync(request: Request):
        work("handler", request)

    @app.get("/stream-sync")
    def stream_sync():
        work("handler")
        return StreamingResponse(work.chunks())

    @app.get("/stream-async")
    async def stream_async():
        work("handler")
        return StreamingResponse(work.async_chunks())

    @app.get("/endless")
    async def endless():
        return StreamingResponse(work.endless())

    @app.get("/background")
    async def background(tasks: BackgroundTasks):
        work("handler")
        tasks.add_task(work, "task")
        tasks.add_task(work.task)

    @app.get("/error")
    def error():
        work("handler")
        raise LookupError

    @app.websocket("/ws")
    async def talk(websocket: WebSocket):
        await work.talk(websocket)

    add_more(app, work)
    return app


def add_more(app: Any, work: Work) -> None:
    from fastapi import Depends

    async def learnt():
        with using_session("learnt late"), using_user("bob"):
            yield

    @app.get("/late-depends")
    async def late_depends(_learnt: Annotated[None, Depends(learnt)]):
        work("handler")

    def opened():
        work("set-up")
        yield
        work("tear-down")

    async def opened_async():
        work("set-up")
        yield
        work("tear-down")

    @app.get("/late")
    async def handle_late():
        late(work)

    @app.get("/late-sync")
    def handle_late_sync():
        late(work)

    @app.get("/depends-sync")
    def depends_sync(_opened: Annotated[None, Depends(opened)]):
        work("handler")

    @app.get("/depends-async")
    async def depends_async(_opened: Annotated[None, Depends(opened_async)]):
        work("handler")


def starlette_app(tracer: Any) -> Any:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTasks
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route, WebSocketRoute

    work = Work(tracer)

    async def handle_async(request):
        work("handler", request)
        return Response()

    def handle_sync(request):
        work("handler", request)
        return Response()

    def stream_sync(_request):
        work("handler")
        return StreamingResponse(work.chunks())

    async def stream_async(_request):
        work("handler")
        return StreamingResponse(work.async_chunks())

    async def endless(_request):
        return StreamingResponse(work.endless())

    async def background(_request):
        work("handler")
        tasks = BackgroundTasks()
        tasks.add_task(work, "task")
        tasks.add_task(work.task)
        return Response(background=tasks)

    def error(_request):
        work("handler")
        raise LookupError

    async def handle_late(_request):
        late(work)
        return Response()

    handlers = {
        "async": handle_async,
        "sync": handle_sync,
        "stream-sync": stream_sync,
        "stream-async": stream_async,
        "endless": endless,
        "background": background,
        "error": error,
        "late": handle_late,
    }
    routes = [Route(f"/{path}", handler) for path, handler in handlers.items()]
    return Starlette(routes=[*routes, WebSocketRoute("/ws", work.talk)])


APPS = {"fastapi": fastapi_app, "starlette": starlette_app}


def assembled(
    framework: str,
    way: str,
    telemetry: Any,
    prepared: Callable[[Any], Any] = lambda app: app,
    **options: Any,
) -> Any:
    """Return the application with our middleware, and OpenTelemetry's on either side of it."""
    options = options or OPTIONS
    app = prepared(APPS[framework](telemetry.tracer))
    provider = {"tracer_provider": telemetry.provider}
    if way.startswith("framework"):
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(app, **provider)
    if way in {"bare", "framework outside"}:
        app.add_middleware(SessionMiddleware, **options)
        return app
    if way in {"wrapped", "framework inside"}:
        return SessionMiddleware(app, **options)
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    if way == "outside":
        return OpenTelemetryMiddleware(SessionMiddleware(app, **options), **provider)
    return SessionMiddleware(OpenTelemetryMiddleware(app, **provider), **options)
