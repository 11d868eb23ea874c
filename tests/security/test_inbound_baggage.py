"""A hostile ``baggage`` changes nothing, and costs no more than its size does."""

from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.baggage import get_all
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator

from clew.context.identity import IDS, MAX_LENGTH
from tests.security.hostile import SMUGGLED, UNITS, header, quietly


def ids_in(context):
    return {key: context[key] for key in IDS if key in context}


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_long_is_dropped_and_counted(credulous, dropped, unit):
    found = credulous.extract({"baggage": header(unit)}, Context())
    assert ids_in(found) == {}
    assert dropped() == len(IDS)


@pytest.mark.parametrize("unit", UNITS)
def test_the_time_is_linear(credulous, is_linear, unit):
    is_linear(lambda size: credulous.extract({"baggage": header(unit, size)}, Context()))


@pytest.mark.parametrize("unit", UNITS)
def test_the_work_is_bounded(credulous, unit, monkeypatch):
    """Of a header that is too long no member is decoded, however many there are."""
    from clew.core import w3c_baggage

    decoded = []
    monkeypatch.setattr(w3c_baggage, "unquote_to_bytes", lambda text: decoded.append(text) or text)
    credulous.extract({"baggage": header(unit)}, Context())
    credulous.extract({"baggage": [header(unit, 5_000)] * 1_000}, Context())
    assert sum(map(len, decoded)) <= w3c_baggage.MAX_BYTES


@pytest.mark.parametrize("value", SMUGGLED)
def test_what_would_do_harm_is_dropped(credulous, value):
    assert ids_in(credulous.extract({"baggage": value}, Context())) == {}


@pytest.mark.parametrize("value", SMUGGLED)
def test_one_bad_id_does_not_take_the_other_along(credulous, value):
    found = credulous.extract({"baggage": f"a=b,{value},user.id=ada"}, Context())
    assert ids_in(found) == {"user.id": "ada"}


def test_what_is_encoded_twice_is_decoded_once(credulous):
    found = credulous.extract({"baggage": "session.id=%25250a"}, Context())
    assert ids_in(found) == {"session.id": "%250a"}


def test_no_other_key_gets_into_the_context(credulous):
    value = "metadata=x,tag.tags=x,clew.isolated=1,clew.entry=1,current-span=x,session.id=chat-42"
    found = credulous.extract({"baggage": value}, Context())
    assert set(found) == {"session.id", "clew.inbound"}


@quietly
@given(value=st.text(max_size=300) | st.binary(max_size=300).map(lambda it: it.decode("latin-1")))
def test_nothing_raises_and_what_is_taken_is_an_id(credulous, value):
    stock_and_ours = CompositePropagator([W3CBaggagePropagator(), credulous])
    for text in (value, f"session.id={value}", f"user.id={value},session.id={value}"):
        for propagator in (credulous, stock_and_ours):
            found = propagator.extract({"baggage": text}, Context())
            for taken in ids_in(found).values():
                assert 0 < len(taken) <= MAX_LENGTH
                assert taken == taken.strip()
                assert not {category(it) for it in taken} & {"Cc", "Cs", "Zl", "Zp"}
            assert not {*IDS, "clew.pseudonym"} & set(get_all(found))


@quietly
@given(values=st.lists(st.sampled_from(["chat-42", "other", "", "%00"]), min_size=2, max_size=5))
def test_of_several_only_one_that_they_agree_on(credulous, values):
    value = ",".join(f"session.id={it}" for it in values)
    found = ids_in(credulous.extract({"baggage": value}, Context()))
    agreed = set(values) <= {"chat-42"} or set(values) <= {"other"}
    assert found == ({"session.id": values[0]} if agreed else {})
