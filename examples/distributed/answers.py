# /// script
# requires-python = ">=3.11"
# dependencies = ["clew[openai]", "flask", "opentelemetry-instrumentation-flask"]
# [tool.uv.sources]
# clew = { path = "../.." }
# ///
"""The service behind the one in Node: it calls the model, in the session of its caller.

It knows of no session. With CLEW_TRUST_INBOUND=1 it takes over what a request brings.
"""

import logging
import os
import signal
import sys

import openai
from flask import Flask, request
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from werkzeug.serving import make_server

from clew import instrument_all

instrument_all()

MODEL = "gpt-4o-mini"
app = Flask("answers")
FlaskInstrumentor().instrument_app(app)  # This reads the headers of requests.
client = openai.OpenAI()


@app.post("/answer")
def answer() -> dict[str, str | None]:
    """Answer a question from the facts that come with it."""
    asked = request.get_json()
    told = f"You are at a bicycle shop's desk. Answer in one sentence. {asked['facts']}"
    messages = [
        {"role": "system", "content": told},
        {"role": "user", "content": asked["question"]},
    ]
    reply = client.chat.completions.create(
        model=MODEL, messages=messages, temperature=0, max_tokens=48
    )
    return {"answer": reply.choices[0].message.content}


def end(*_: object) -> None:
    """Exit normally, and once: clew sends the remaining spans at the end."""
    for it in (signal.SIGINT, signal.SIGTERM):
        signal.signal(it, signal.SIG_IGN)
    sys.exit()


if __name__ == "__main__":
    for it in (signal.SIGINT, signal.SIGTERM):
        signal.signal(it, end)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", int(os.getenv("PORT", "8002")), app)
    print(f"listening on http://127.0.0.1:{server.server_port}/answer", flush=True)
    server.serve_forever()
