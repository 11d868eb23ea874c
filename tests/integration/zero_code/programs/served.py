"""An application for ASGI, WSGI, Celery and AWS Lambda, which uses clew only if START says so.

Each request names a session and a user, and makes two spans that have to carry them: one of the
application, and one of a model call inside it. The response contains the process id.
"""

import json
import os

if os.environ.get("START") == "the one line":
    from clew import instrument_all

    instrument_all()

import openai
from openinference.instrumentation import using_session, using_user
from opentelemetry import trace

tracer = trace.get_tracer("application")
client = openai.OpenAI(base_url=os.environ["PROVIDER"], api_key="key", max_retries=0)


def answer(session):
    span = tracer.start_as_current_span("answer", attributes={"asked": session})
    with using_session(session), using_user(f"user of {session}"), span:
        question = {"role": "user", "content": session}
        client.chat.completions.create(model="gpt-4o", messages=[question])
    return json.dumps([session, os.getpid()]).encode()


def wsgi(environ, start_response):
    body = answer(environ["PATH_INFO"].strip("/"))
    start_response("200 OK", [("content-length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = answer(scope["path"].strip("/"))
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if "BROKER" in os.environ:
    from celery import Celery

    celery = Celery("served", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
    celery.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)

    @celery.task(name="answer")
    def task(session):
        return json.loads(answer(session))


def handler(event, _context):
    """Answer as a function of AWS Lambda."""
    return json.loads(answer(event["session"]))


def raising(event, context):
    raise KeyError(handler(event, context)[0])


if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    from clew.aws_lambda import flushed

    decorated, raising_decorated = flushed(handler), flushed(raising)
