"""Evaluations as spans: carriers, which are sent and exported, and are read back identically.

A carrier is a span of kind EVALUATOR with one evaluation: ``session.evaluations.0.evaluation.*``
with the session's id, ``trace.evaluations.0.evaluation.*`` or ``evaluations.0.evaluation.*`` with a
link to the turn or the span, and OpenTelemetry's event ``gen_ai.evaluation.result`` in each case.
"""

import json
from collections.abc import Callable, Collection, Iterable
from hashlib import sha256
from typing import Any

import clew
from clew.evaluations.evaluation import Evaluation, check, metadata_json
from clew.sessions.carriers import carried_by
from clew.spans import evaluation_attributes as wire
from clew.spans.evaluation_attributes import Result
from clew.store.record import Event, Link, Resource, Scope, SpanRecord

_SCOPE = Scope("clew.evaluations", clew.__version__)
_RESOURCE = Resource({"service.name": "clew"})
SpanOfTrace = Callable[[bytes], bytes | None]
"""Returns a span of a trace, if possible the outermost one."""


def carriers_of(
    given: Iterable[Evaluation],
    span_of_trace: SpanOfTrace | None = None,
    late: Collection[int | None] = (),
) -> list[SpanRecord]:
    """Return a span for each of the evaluations, which carries it.

    The same evaluation gives the same span, with the same ids, whenever it is written.

    Args:
        given: The evaluations; one without a moment is made at the beginning of 1970.
        span_of_trace: Finds the span to link where an evaluation is about a whole trace.
        late: The numbers of those that have never counted, as something newer was said before.
    """
    return [_carrier(it, span_of_trace, is_late=it.id in late) for it in given]


def evaluations_in(spans: Iterable[SpanRecord]) -> list[Evaluation]:
    """Return the evaluations that these spans carry, in their order; what is unusable is left out.

    One that does not say in which session it is has none: a store knows it from the other spans.
    """
    return [
        Evaluation(
            name=it.result.name,
            score=it.result.score,
            label=it.result.label,
            explanation=it.result.explanation,
            session_id=it.session_id,
            trace_id=it.trace_id,
            root_id=it.root_id,
            span_id=it.span_id,
            annotator_kind=it.result.annotator_kind,
            identifier=it.result.identifier,
            metadata=json.loads(it.result.metadata or "{}"),
            made_ns=it.made_ns,
            version=it.result.version,
        )
        for span in spans
        for it in carried_by(span)[0]
    ]


def _carrier(
    it: Evaluation, span_of_trace: SpanOfTrace | None, *, is_late: bool = False
) -> SpanRecord:
    check(it)
    made = it.made_ns or 0
    digest = sha256(_identity(it)).digest()
    result = Result(
        it.name,
        None if it.score is None else float(it.score),
        it.label,
        it.explanation,
        it.annotator_kind,
        it.identifier,
        metadata_json(it.metadata) if it.metadata else "",
        it.version,
    )
    attributes: dict[str, Any] = {wire.KIND: wire.CARRIER_KIND}
    if it.session_id:
        attributes["session.id"] = it.session_id
    if is_late:
        attributes[wire.LATE] = True
    link: Link | None = None
    if it.trace_id is None:
        scope = "session"
    else:
        scope = "trace" if it.span_id is None else "span"
        found = it.span_id or it.root_id
        if found is None and span_of_trace is not None:
            found = span_of_trace(it.trace_id)
        root = {wire.TURN_ROOT: it.root_id.hex()} if it.root_id else {}
        # A trace whose spans are elsewhere is named by the link all the same.
        link = Link(it.trace_id, found or digest[24:], root, flags=1)
    event = result.event()
    return SpanRecord(
        # What is about a trace is put into it, and what is about a session has one of its own.
        trace_id=it.trace_id or digest[:16],
        span_id=digest[16:24],
        parent_id=link.span_id if link else None,
        name=f"evaluation {it.name}",
        start=made,
        end=made,
        attributes={**attributes, **result.attributes(scope)},
        events=() if event is None else (Event(wire.EVENT, made, event),),
        links=(link,) if link else (),
        resource=_RESOURCE,
        scope=_SCOPE,
        flags=0x101,
    )


def _identity(it: Evaluation) -> bytes:
    """Return everything that an evaluation says, from which the ids of its span are made."""
    ids = [None if part is None else part.hex() for part in (it.trace_id, it.root_id, it.span_id)]
    said = [it.score, it.label, it.explanation, dict(it.metadata), it.made_ns]
    who = [it.name, it.annotator_kind, it.identifier, it.version]
    return json.dumps([it.session_id, *ids, *who, *said]).encode()
