"""What is written into a request is one clean header, whatever the ids and the headers are."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from opentelemetry.context import Context

from clew.context.identity import IDS, admitted_id
from clew.core import w3c_baggage
from tests.security.hostile import SMUGGLED, UNITS, header, quietly

anything = st.text(min_size=1, max_size=300)


def written(propagator, requesting, headers=None, **ids):
    named = {key.replace("_", "."): value for key, value in ids.items()}
    carrier = dict(headers or {})
    propagator.inject(carrier, requesting(Context(named)))
    return carrier


@quietly
@given(session=anything, user=anything)
def test_the_header_is_clean_and_says_what_was_meant(credulous, requesting, session, user):
    carrier = written(credulous, requesting, session_id=session, user_id=user)
    meant = {key: admitted_id(value) for key, value in zip(IDS, (session, user), strict=True)}
    meant = {key: value for key, value in meant.items() if value is not None}
    assume(meant)
    assert set(carrier) == {"baggage"}
    value = carrier["baggage"]
    assert value.isascii()
    assert value.isprintable()
    assert not set(' "\\;') & set(value)
    assert len(value) <= w3c_baggage.MAX_BYTES
    assert len(value.split(",")) == len(meant)
    found = credulous.extract(carrier, Context())
    assert {key: found[key] for key in IDS if key in found} == meant


@pytest.mark.parametrize("value", SMUGGLED)
def test_an_id_cannot_be_smuggled_out(credulous, requesting, value):
    """Not even one that others have put into the context past all checks."""
    said = value.removeprefix("session.id=")
    text = written(credulous, requesting, session_id=said).get("baggage", "")
    assert not set("\r\n\x00") & set(text)
    assert text.count(",") == 0


@pytest.mark.parametrize("unit", UNITS)
def test_headers_of_an_enemys_that_the_application_forwards_stay(credulous, requesting, unit):
    given_one = {"baggage": header(unit)}
    assert written(credulous, requesting, given_one, session_id="chat-42") == given_one


@pytest.mark.parametrize("unit", UNITS)
def test_the_time_is_linear(credulous, requesting, is_linear, unit):
    def step(size):
        written(credulous, requesting, {"baggage": header(unit, size)}, session_id="chat-42")

    is_linear(step)


@quietly
@given(existing=st.lists(st.from_regex(r"[a-z]{1,9}=[a-z]{0,9}", fullmatch=True), max_size=20))
def test_what_the_application_has_written_stays_first(credulous, requesting, existing):
    text = ",".join(existing)
    carrier = written(credulous, requesting, {"baggage": text} if text else {}, session_id="c-42")
    assert carrier["baggage"] == ",".join([*existing, "session.id=c-42"])
