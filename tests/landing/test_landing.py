"""The landing table: frameworks × modes. Every span made inside the block carries both ids.

A span is counted from its start, so one that never ends cannot hide. A cell whose framework makes
no span at all fails: it would prove nothing.
"""

import pytest
from opentelemetry import trace

from clew import using_session
from tests.landing.calls import CELLS, MODES
from clew.frameworks import FRAMEWORKS

SESSION, USER = "chat-42", "ada"


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.framework}-{cell.mode}-{cell.name}")
def test_landing(cell, server, started, report, record_property):
    if module := cell.missing():
        pytest.skip(f"{module} is not installed here")
    tracer = trace.get_tracer("an-application")
    first = len(started.spans)
    with tracer.start_as_current_span("before"):
        pass
    with using_session(SESSION, user_id=USER):
        with tracer.start_as_current_span("inside"):
            pass
        inside_from = len(started.spans)
        cell.call(server)
        inside_to = len(started.spans)
    with tracer.start_as_current_span("after"):
        pass
    server.clear()
    cell.call(server)  # Outside the block: the same spans, and none carries an id.
    inside = started.spans[inside_from - 1 : inside_to]
    outside = started.spans[first : inside_from - 1] + started.spans[inside_to:]

    missing = [span for span in inside if None in _ids(span)]
    wrong = [span for span in inside if None not in _ids(span) and _ids(span) != (SESSION, USER)]
    leaked = [span for span in outside if SESSION in _ids(span) or USER in _ids(span)]
    assert _described(missing) == []
    assert _described(wrong) == []
    assert _described(leaked) == []
    assert [span for span in inside if _of_an_instrumentor(span)], "no span was made: a vacuous cell"
    record_property("spans", len(inside) + len(outside))


def test_every_framework_has_every_mode():
    filled = {(cell.framework, cell.mode) for cell in CELLS}
    wanted = {(framework.name, mode) for framework in FRAMEWORKS for mode in MODES}
    assert sorted(wanted - filled) == sorted(NOT_IN_THE_SDK)


NOT_IN_THE_SDK = {
    ("bedrock", "async"): "boto3 is synchronous",
    ("bedrock", "async_stream"): "boto3 is synchronous",
    ("mistralai", "embeddings"): "upstream makes no span for them yet",
}


def _ids(span):
    return span.attributes.get("session.id"), span.attributes.get("user.id")


def _of_an_instrumentor(span):
    return span.instrumentation_scope.name.startswith("openinference.instrumentation")


def _described(spans):
    return [f"{span.instrumentation_scope.name}: {span.name} {_ids(span)}" for span in spans]
