"""Conversations as stored spans, small and known, for tests of what reads them."""

import json

from clew.store.record import ERROR, Link, Resource, Scope, SpanRecord

SECOND = 10**9
START = 1_780_000_000 * SECOND
RESOURCE = Resource({"service.name": "shop"})
SCOPE = Scope("openinference.instrumentation.openai", "1.0")


def turn(
    session="chat-42",
    user="ada",
    asked="Where is my order A-17?",
    answered="It was sent yesterday.",
    *,
    number=1,
    start=START,
    tool=True,
    error="",
    cost=0.0021,
    model="gpt-4o-mini",
    found=(),
):
    """Return the spans of one turn: a chain with a tool, a retrieval and a model call in it."""
    trace = f"{session}/{number}".encode().ljust(16, b".")[-16:]
    ids = {key: it for key, it in (("session.id", session), ("user.id", user)) if it}

    def span(name, kind, since, until, attributes, parent=b"root....", message=""):
        return SpanRecord(
            trace_id=trace,
            span_id=(b"root...." if parent is None else name.encode().ljust(8, b".")[:8]),
            parent_id=parent,
            name=name,
            start=start + since * SECOND // 10,
            end=start + until * SECOND // 10,
            attributes={**ids, "openinference.span.kind": kind, **attributes},
            status=ERROR if message else 1,
            status_message=message,
            resource=RESOURCE,
            scope=SCOPE,
            flags=0x101,
        )

    said = {
        "llm.model_name": model,
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "You help the customers of a bicycle shop.",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.content": asked,
        "llm.token_count.prompt": 100,
        "llm.token_count.completion": 20,
        "llm.token_count.total": 120,
    }
    if cost is not None:
        said["llm.cost.total"] = cost
    if answered:
        said["llm.output_messages.0.message.role"] = "assistant"
        said["llm.output_messages.0.message.content"] = answered
    spans = []
    if tool:
        attributes = {
            "tool.name": "get_order",
            "input.value": json.dumps({"number": "A-17"}),
            "output.value": json.dumps({"status": "sent"}),
        }
        spans.append(span("get_order", "TOOL", 1, 3, attributes))
    if found:
        attributes = {"input.value": asked}
        for index, text in enumerate(found):
            attributes[f"retrieval.documents.{index}.document.content"] = text
            attributes[f"retrieval.documents.{index}.document.id"] = f"d{index}"
        spans.append(span("search", "RETRIEVER", 3, 4, attributes))
    spans.append(span("ask", "LLM", 5, 12, said, message=error))
    outer = {"input.value": asked, "output.value": answered}
    spans.append(span("answer", "CHAIN", 0, 13, outer, None, error))
    return spans


def rating(rated, user=None):
    """Return the span of somebody's feedback on a turn, which is in the turn's trace."""
    said = {"name": "thumbs", "score": 1.0, "annotator_kind": "HUMAN", "identifier": user or "user"}
    return SpanRecord(
        trace_id=rated.trace_id,
        span_id=b"feedback",
        parent_id=rated.span_id,
        name="feedback",
        start=rated.end,
        end=rated.end,
        attributes={
            "openinference.span.kind": "EVALUATOR",
            "session.id": rated.attributes["session.id"],
            **({"user.id": user} if user else {}),
            **{f"trace.evaluations.0.evaluation.{key}": it for key, it in said.items()},
        },
        links=(Link(rated.trace_id, rated.span_id, {"clew.turn.root_id": rated.span_id.hex()}),),
    )
