"""An application that looks up an order, asks a model, and asks it again for a streamed answer."""

import sys

import openai
from opentelemetry import trace

import clew

clew.instrument_all()
client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0, timeout=100)
tracer = trace.get_tracer("shop")
asked = [{"role": "user", "content": "Where is my order A-17?"}]
outer = {"openinference.span.kind": "CHAIN", "input.value": asked[0]["content"]}
with (
    clew.using_session("chat-live", user_id="ada"),
    tracer.start_as_current_span("answer", attributes=outer) as span,
):
    first = client.chat.completions.create(model="gpt-4o", messages=asked)
    messages = [*asked, {"role": "assistant", "content": first.choices[0].message.content}]
    messages.append({"role": "user", "content": "Say it again, shorter."})
    stream = client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    span.set_attribute("output.value", said)
