"""Random nestings of clew's blocks, upstream's and spans, compared with a small model."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from openinference import instrumentation as upstream

import clew

ids = st.sampled_from(["a", "b", "c", "d"])
tags = st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=2)
metadata = st.dictionaries(st.sampled_from(["k", "l"]), st.integers(0, 9), min_size=1)
steps = st.one_of(
    st.tuples(st.just("session"), ids),
    st.tuples(st.just("session and user"), ids, ids),
    st.tuples(st.just("user"), ids),
    st.tuples(st.just("tags"), tags),
    st.tuples(st.just("metadata"), metadata),
    st.tuples(st.just("some"), st.just("") | ids, st.just("") | ids),
    st.tuples(st.just("upstream session"), ids),
    st.tuples(st.just("upstream user"), ids),
    st.tuples(st.just("isolated")),
    st.tuples(st.just("span")),
    st.tuples(st.just("span that says"), ids),
)
nests = st.recursive(
    st.just([]),
    lambda inner: st.lists(st.tuples(steps, inner), min_size=1, max_size=3),
    max_leaves=12,
)


class Model(NamedTuple):
    """The attributes in the context, and those of the current span."""

    session: str | None = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, int], ...] = ()
    parents_session: str | None = None
    parents_user: str | None = None
    is_isolated: bool = False

    def carried(self):
        parents = (None, None) if self.is_isolated else (self.parents_session, self.parents_user)
        return (
            self.session or parents[0],
            self.user or parents[1],
            self.tags,
            dict(self.metadata),
        )

    def after(self, kind, *values):
        if "span" in kind:
            session, user, *_ = self.carried()
            return self._replace(parents_session=(*values, session)[0], parents_user=user)
        return {
            "session": lambda session: self._replace(session=session),
            "session and user": lambda session, user: self._replace(session=session, user=user),
            "user": lambda user: self._replace(user=user),
            "tags": lambda said: self._replace(tags=tuple(said)),
            "metadata": lambda said: self._replace(metadata=tuple(said.items())),
            "some": lambda session, user: self._replace(
                session=session or self.session, user=user or self.user
            ),
            "isolated": lambda: Model(is_isolated=True),
        }[kind.removeprefix("upstream ")](*values)


def block(tracer, kind, *values):
    return {
        "session": clew.using_session,
        "session and user": lambda session, user: clew.using_session(session, user_id=user),
        "user": clew.using_user,
        "tags": clew.using_tags,
        "metadata": clew.using_metadata,
        "some": lambda session, user: clew.using_attributes(session_id=session, user_id=user),
        "upstream session": upstream.using_session,
        "upstream user": upstream.using_user,
        "isolated": clew.isolated,
        "span": lambda: tracer.start_as_current_span(kind),
        "span that says": lambda session: tracer.start_as_current_span(
            kind, attributes={"session.id": session}
        ),
    }[kind](*values)


def ids_of_new_span(telemetry, tracer):
    said = clew.current()
    telemetry.exporter.clear()
    tracer.start_span("probe").end()
    landed = clew.Identity.from_attributes(telemetry.last())
    assert said == landed
    return said.session_id, said.user_id, said.tags, said.metadata


@given(nest=nests)
def test_current_and_spans_carry_what_the_model_expects(telemetry, nest):
    def walk(inner, model):
        assert ids_of_new_span(telemetry, telemetry.tracer) == model.carried()
        assert ids_of_new_span(telemetry, telemetry.instrumentor) == model.carried()
        for step, below in inner:
            with block(telemetry.tracer, *step):
                walk(below, model.after(*step))
            assert ids_of_new_span(telemetry, telemetry.tracer) == model.carried()

    walk(nest, Model())
    assert not clew.current()
