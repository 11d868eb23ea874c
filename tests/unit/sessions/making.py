"""Makes spans of a trace for the tests, with OpenInference's attributes or any others."""

import json
from itertools import count

from clew.store.record import ERROR, Event, Scope, SpanRecord

TRACE = bytes(15) + b"\1"
_SECOND = 1_000_000_000
_numbers = count(1)

OPENAI = "openinference.instrumentation.openai"
LANGCHAIN = "openinference.instrumentation.langchain"


def span(name="work", parent=None, at=0.0, took=1.0, scope="app", kind=1, error=None, **given):
    """Return a span that begins *at* some second and *took* so many."""
    attributes = {key.replace("__", "."): value for key, value in given.items()}
    attributes |= attributes.pop("attributes", {})
    attributes.setdefault("session.id", "chat-42")
    start = int(at * _SECOND)
    end = start + int(took * _SECOND)
    events = given.pop("events", ())
    attributes.pop("events", None)
    if error:
        said = {"exception.type": "builtins.ValueError", "exception.message": error}
        events = (*events, Event("exception", end, said))
    return SpanRecord(
        trace_id=TRACE,
        span_id=next(_numbers).to_bytes(8, "big"),
        parent_id=parent.span_id if parent else None,
        name=name,
        start=start,
        end=end,
        attributes={key: it for key, it in attributes.items() if it is not None},
        kind=kind,
        status=ERROR if error else 1,
        events=tuple(events),
        scope=Scope(scope),
    )


def flat(prefix, *messages):
    """Return messages as OpenInference has them; each is a role and a text, or attributes."""
    found = {}
    for number, message in enumerate(messages):
        pair = isinstance(message, tuple)
        fields = {"role": message[0], "content": message[1]} if pair else message
        for key, value in fields.items():
            found[f"{prefix}{number}.message.{key}"] = value
    return found


def model(*sent, says="", asks_for=(), parent=None, at=0.0, took=1.0, scope=OPENAI, **given):
    """Return the span of a model call that was sent messages and answered."""
    answer = {"role": "assistant"}
    if says:
        answer["content"] = says
    for place, (name, arguments, identity) in enumerate(asks_for):
        call = f"tool_calls.{place}.tool_call."
        answer[f"{call}function.name"] = name
        answer[f"{call}function.arguments"] = arguments
        answer[f"{call}id"] = identity
    attributes = {
        "openinference.span.kind": "LLM",
        **flat("llm.input_messages.", *sent),
        **flat("llm.output_messages.", answer),
        **given.pop("attributes", {}),
    }
    return span("ChatCompletion", parent, at, took, scope, attributes=attributes, **given)


def chain(name, asked, answered, parent=None, at=0.0, took=1.0, scope=LANGCHAIN, kind="CHAIN"):
    """Return the span of a chain, or of an agent, with what it was given and what it returned."""
    attributes = {
        "openinference.span.kind": kind,
        "input.value": asked if isinstance(asked, str | None) else json.dumps(asked),
        "output.value": answered if isinstance(answered, str | None) else json.dumps(answered),
    }
    return span(name, parent, at, took, scope, attributes=attributes)


def texts(turns):
    """Return the two texts of each turn."""
    return [(it.input.text, it.output.text) for it in turns]
