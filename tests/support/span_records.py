"""Generated spans of every kind that OTLP can carry, as hypothesis strategies."""

from hypothesis import strategies as st

from clew.store.record import Event, Link, Resource, Scope, SpanRecord

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
UINT32 = st.integers(0, 2**32 - 1)
TIMES = st.integers(0, 2**63 - 1)
SCALARS = (
    TEXTS
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=6)
    | st.none()
    | st.sampled_from(["", 0, False, 0.0, -0.0, b"", 1, True, 1.0])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple) | st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(TEXTS, VALUES, max_size=5)
TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any)
SPAN_IDS = st.binary(min_size=8, max_size=8).filter(any)
RESOURCES = st.builds(Resource, attributes=ATTRIBUTES, schema_url=TEXTS, dropped_attributes=UINT32)
SCOPES = st.builds(
    Scope,
    name=TEXTS,
    version=TEXTS,
    attributes=ATTRIBUTES.map(lambda it: it or None),
    schema_url=TEXTS,
    dropped_attributes=UINT32,
)
EVENTS = st.builds(Event, name=TEXTS, time=TIMES, attributes=ATTRIBUTES, dropped_attributes=UINT32)
LINKS = st.builds(
    Link,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    attributes=ATTRIBUTES,
    trace_state=TEXTS,
    flags=UINT32,
    dropped_attributes=UINT32,
)


def spans(resource, scope):
    return st.builds(
        SpanRecord,
        trace_id=TRACE_IDS,
        span_id=SPAN_IDS,
        parent_id=st.none() | SPAN_IDS,
        name=TEXTS,
        start=TIMES,
        end=TIMES,
        attributes=ATTRIBUTES,
        kind=st.integers(0, 6),
        status=st.integers(0, 3),
        status_message=TEXTS,
        events=st.lists(EVENTS, max_size=2).map(tuple),
        links=st.lists(LINKS, max_size=2).map(tuple),
        resource=resource,
        scope=scope,
        trace_state=TEXTS,
        flags=UINT32,
        dropped_attributes=UINT32,
        dropped_events=UINT32,
        dropped_links=UINT32,
    )


@st.composite
def batches(draw):
    """Several spans that share resources and scopes, as those of one export do."""
    resources = st.sampled_from(draw(st.lists(RESOURCES, min_size=1, max_size=2)))
    scopes = st.sampled_from(draw(st.lists(SCOPES, min_size=1, max_size=2)))
    return draw(st.lists(spans(resources, scopes), max_size=4))
