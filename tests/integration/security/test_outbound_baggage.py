"""The header that is written into a request is valid, whatever the ids and headers are."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from opentelemetry.context import Context

from clew.context.ids import IDS, external_id
from clew.core import w3c_baggage
from tests.integration.security.hostile_headers import INVALID_HEADERS, UNITS, header, many_examples

anything = st.text(min_size=1, max_size=300)


def written(propagator, request_context, headers=None, **ids):
    named = {key.replace("_", "."): value for key, value in ids.items()}
    carrier = dict(headers or {})
    propagator.inject(carrier, request_context(Context(named)))
    return carrier


@many_examples
@given(session=anything, user=anything)
def test_the_header_is_valid_and_contains_the_ids(
    trusting_propagator, request_context, session, user
):
    carrier = written(trusting_propagator, request_context, session_id=session, user_id=user)
    valid = {key: external_id(value) for key, value in zip(IDS, (session, user), strict=True)}
    valid = {key: value for key, value in valid.items() if value is not None}
    assume(valid)
    assert set(carrier) == {"baggage"}
    value = carrier["baggage"]
    assert value.isascii()
    assert value.isprintable()
    assert not set(' "\\;') & set(value)
    assert len(value) <= w3c_baggage.MAX_BYTES
    assert len(value.split(",")) == len(valid)
    found = trusting_propagator.extract(carrier, Context())
    assert {key: found[key] for key in IDS if key in found} == valid


@pytest.mark.parametrize("value", INVALID_HEADERS)
def test_an_invalid_id_adds_no_header_or_member(trusting_propagator, request_context, value):
    """Not even one that other code has put into the context without validation."""
    session = value.removeprefix("session.id=")
    text = written(trusting_propagator, request_context, session_id=session).get("baggage", "")
    assert not set("\r\n\x00") & set(text)
    assert text.count(",") == 0


@pytest.mark.parametrize("unit", UNITS)
def test_a_hostile_header_that_the_application_forwards_is_kept(
    trusting_propagator, request_context, unit
):
    headers = {"baggage": header(unit)}
    assert written(trusting_propagator, request_context, headers, session_id="chat-42") == headers


@pytest.mark.parametrize("unit", UNITS)
def test_the_time_is_linear(trusting_propagator, request_context, is_linear, unit):
    def step(size):
        written(
            trusting_propagator,
            request_context,
            {"baggage": header(unit, size)},
            session_id="chat-42",
        )

    is_linear(step)


@many_examples
@given(existing=st.lists(st.from_regex(r"[a-z]{1,9}=[a-z]{0,9}", fullmatch=True), max_size=20))
def test_the_applications_members_stay_first(trusting_propagator, request_context, existing):
    text = ",".join(existing)
    carrier = written(
        trusting_propagator, request_context, {"baggage": text} if text else {}, session_id="c-42"
    )
    assert carrier["baggage"] == ",".join([*existing, "session.id=c-42"])
