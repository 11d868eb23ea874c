"""What went wrong in spans: the message of each, and the cause among several."""

from collections.abc import Iterable

from clew.sessions.json_values import text
from clew.sessions.lineage import Node
from clew.store.record import ERROR, SpanRecord

_TRACEBACK = "Traceback (most recent call last)"
_MAX_LENGTH = 2000
NOT_SAID = "failed"
"""The message of what failed without saying why."""


def failed(span: SpanRecord) -> bool:
    """Whether the span states an error."""
    return span.status == ERROR


def message(span: SpanRecord) -> str:
    """Return what went wrong in a span, in a few words; empty if nothing did.

    The exception comes first: LangChain's status has a whole traceback in it.
    """
    if not failed(span):
        return ""
    for event in span.events:
        if event.name == "exception":
            kind = text(event.attributes.get("exception.type")).rpartition(".")[2]
            said = text(event.attributes.get("exception.message"))
            found = f"{kind}: {said}" if kind and said else kind or said
            if found:
                return found[:_MAX_LENGTH]
    said = text(span.status_message).partition(_TRACEBACK)[0].strip()
    return (said or text(span.attributes.get("error.type")) or NOT_SAID)[:_MAX_LENGTH]


def cause(nodes: Iterable[Node]) -> str:
    """Return the first in time of the innermost failures: what has made the others fail."""
    bad = [it for it in nodes if failed(it.span)]
    around = set()
    for node in bad:
        at = node.parent
        while at is not None and id(at) not in around:
            around.add(id(at))
            at = at.parent
    innermost = [it for it in bad if id(it) not in around]
    first = min(innermost or bad, key=lambda it: it.span.end, default=None)
    return message(first.span) if first else ""
