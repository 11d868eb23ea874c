"""Makes spans of every kind for tests of the store."""

from hypothesis import strategies as st

from clew.store.record import Event, Link, Resource, Scope, SpanRecord

texts = st.text(st.characters(codec=None), max_size=20)
"""With half surrogate pairs and zeros, which not everything can store."""
integers = st.integers(-(2**70), 2**70)
scalars = st.one_of(
    texts, st.booleans(), integers, st.floats(allow_nan=False), st.binary(max_size=8), st.none()
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.one_of(
    texts.filter(bool),
    st.sampled_from(
        [
            "session.id",
            "user.id",
            "openinference.span.kind",
            "llm.model_name",
            "llm.provider",
            "llm.token_count.prompt",
            "llm.token_count.total",
            "llm.cost.total",
            "gen_ai.conversation.id",
            "gen_ai.usage.input_tokens",
            "gen_ai.request.model",
        ]
    ),
)
attributes = st.dictionaries(keys, values, max_size=6)
times = st.integers(0, 2**64 - 1)
stored_times = st.integers(0, 2**63 - 1)
counts = st.integers(0, 2**32 - 1)
trace_ids = st.binary(min_size=16, max_size=16).filter(any)
span_ids = st.binary(min_size=8, max_size=8).filter(any)
records = st.builds(
    SpanRecord,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_id=st.none() | span_ids,
    name=texts,
    start=stored_times,
    end=stored_times,
    attributes=attributes,
    kind=st.integers(0, 5),
    status=st.integers(0, 2),
    status_message=texts,
    events=st.lists(st.builds(Event, texts, times, attributes, counts), max_size=2).map(tuple),
    links=st.lists(
        st.builds(Link, trace_ids, span_ids, attributes, texts, counts, counts), max_size=2
    ).map(tuple),
    resource=st.builds(Resource, attributes, texts, counts),
    scope=st.builds(Scope, texts, texts, attributes.map(lambda it: it or None), texts, counts),
    trace_state=texts,
    flags=counts,
    dropped_attributes=counts,
    dropped_events=counts,
    dropped_links=counts,
)
