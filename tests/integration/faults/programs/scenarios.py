"""Scenarios: each function returns a function that makes calls and returns their results."""

import asyncio
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

from opentelemetry import baggage, propagate, trace
from opentelemetry.trace import SpanKind

URL = ""
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Why?"}]}


def openai():
    import openai as sdk

    options = {"api_key": "none", "base_url": f"{URL}/v1", "max_retries": 0}
    client = sdk.OpenAI(**options)

    async def later():
        async with sdk.AsyncOpenAI(**options) as client:
            answer = await client.chat.completions.create(**ASKED)
            stream = await client.chat.completions.create(**ASKED, stream=True)
            async with client.chat.completions.with_streaming_response.create(**ASKED) as unread:
                read = text_of(await unread.parse())
            async with client.chat.completions.stream(**ASKED) as left:
                first = (await anext(left)).type
            return text_of(answer), text_of_chunks([it async for it in stream]), read, first

    def unread():
        own = client.chat.completions.with_streaming_response
        with own.create(**ASKED) as whole, own.create(**ASKED, stream=True) as stream:
            return text_of(whole.parse()), list(stream.iter_lines())[-1:]

    def left():
        with client.chat.completions.stream(**ASKED) as stream:
            return next(stream).type

    def calls():
        answer = client.chat.completions.create(**ASKED)
        stream = client.chat.completions.create(**ASKED, stream=True)
        response = client.responses.create(model="gpt-4o", input="Why?", previous_response_id="r-1")
        with ThreadPoolExecutor(1) as pool:
            threaded = pool.submit(client.chat.completions.create, **ASKED).result()
        return [
            text_of(answer),
            text_of_chunks(stream),
            response.output_text,
            text_of(threaded),
            unread(),
            left(),
            asyncio.run(later()),
        ]

    return calls


def import_openai():
    for part in ("httpx", "pydantic", "openinference.instrumentation"):
        import_module(part)  # Takes long, and has no hook.

    def calls():
        client = import_module("openai").OpenAI(api_key="none", base_url=f"{URL}/v1")
        return text_of(client.chat.completions.create(**ASKED))

    return calls


def langchain():
    runnables = import_module("langchain_core.runnables")
    config = {"configurable": {"session_id": "thread-1"}}

    def calls():
        class Loud(runnables.RunnableLambda):
            """A subclass that is defined while clew is active."""

        loud = Loud(lambda text: text.upper())
        return [
            loud.invoke("why", config),
            loud.batch(["a", "b"]),
            list(loud.stream("why", config)),
            asyncio.run(loud.ainvoke("why", config)),
        ]

    return calls


def own_spans():
    """Spans of the application's own tracer, of every kind, with more attributes than the limit."""
    tracer = trace.get_tracer("application")

    def calls():
        with tracer.start_as_current_span("server", kind=SpanKind.SERVER) as server:
            with tracer.start_as_current_span("work", attributes={"a": 1}) as span:
                span.set_attributes({f"key-{index}": index for index in range(140)})
                span.set_attribute("session.id", "own")
                span.set_attributes({"user.id": "own", "b": 2})
            return [server.is_recording(), span.is_recording(), span.attributes["b"]]

    return calls


def asgi():
    from clew.web import from_baggage, from_cookie, from_header
    from clew.web.asgi import SessionMiddleware

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Because."})

    headers = [(b"x-session-id", b"s-1"), (b"cookie", b"uid=ada"), (b"baggage", b"user.id=bob")]
    kinds = [
        (
            SessionMiddleware(app, session=from_header("x-session-id"), user=from_cookie("uid")),
            headers,
        ),
        (SessionMiddleware(app, user=from_baggage(), fresh=True), headers),
        (SessionMiddleware(app, session=from_header("x-session-id"), fresh=True), []),
    ]

    def calls():
        sent = []

        async def send(message):
            sent.append([message["type"], message.get("status"), str(message.get("body"))])

        for middleware, given in kinds:
            asyncio.run(middleware({"type": "http", "headers": given}, None, send))
        return sent

    return calls


def wsgi():
    from clew.web import from_cookie, from_header
    from clew.web.wsgi import SessionMiddleware

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"Because."

    given = {"HTTP_X_SESSION_ID": "s-1", "HTTP_COOKIE": "uid=ada"}
    kinds = [
        (
            SessionMiddleware(app, session=from_header("x-session-id"), user=from_cookie("uid")),
            given,
        ),
        (SessionMiddleware(app, session=from_header("x-session-id"), fresh=True), {}),
    ]

    def calls():
        came = []
        for middleware, environ in kinds:
            body = middleware(dict(environ), lambda *started: came.append(started[0]))  # noqa: B023 - read at once
            came += [part.decode() for part in body]
            getattr(body, "close", lambda: None)()
        return came

    return calls


def crossing():
    """Inject headers for a host on the list and for others, send a request, and extract headers."""
    tracer = trace.get_tracer("application")

    def written(host, headers):
        sent = {"http.request.method": "GET", "url.full": f"http://{host}/", "server.address": host}
        with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=sent):
            propagate.inject(headers)
        return [headers["a"], "tenant=blue" in headers["baggage"], "traceparent" in headers]

    def calls():
        headers = {"a": "b", "Baggage": "x=y", "baggage": "tenant=blue"}
        came = [written(host, headers) for host in ("a.mine.example", "evil.org", "api.openai.com")]
        context = propagate.extract({"baggage": "tenant=blue,session.id=s-1,user.id=bob"})
        with urllib.request.urlopen(f"{URL}/v1/models") as response:
            return [came, baggage.get_baggage("tenant", context), response.status]

    return calls


def text_of(answer):
    return answer.choices[0].message.content


def text_of_chunks(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
