"""An application that makes spans when it is told to, by lines on its standard input.

It answers each line with one line of JSON. ``spans N SESSION`` makes spans, ``flush`` exports them,
``stats`` says what clew counted, ``exit`` ends it; so does the end of its input.
"""

import json
import os
import signal
import sys

from opentelemetry import trace

import clew

clew.instrument_all()
provider = trace.get_tracer_provider()
tracer = trace.get_tracer("told")
text = "some words " * int(os.environ.get("WORDS", "10"))


def stats(*_):
    said = clew.stats()
    return {
        "exported": said.exported,
        "waiting": said.waiting,
        "dropped": dict(said.dropped),
        "errors": dict(said.errors),
    }


def spans(number, session):
    with clew.using_session(session, user_id="ada"):
        for index in range(int(number)):
            attributes = {"input.value": text, "output.value": "yes"}
            attributes["openinference.span.kind"] = "CHAIN"
            tracer.start_span(f"{session}:{index}", attributes=attributes).end()
    return {}


def flush(*_):
    return {"flushed": provider.force_flush()}


def modules(*names):
    return {"modules": sorted({"sqlite3", "clew.sessions", *names} & set(sys.modules))}


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # As servers do.

for line in sys.stdin:
    command, *arguments = line.split()
    if command == "exit":
        break
    print(json.dumps(globals()[command](*arguments)), flush=True)
