"""A hostile ``baggage`` header sets no id, and takes time linear in its size."""

from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.baggage import get_all
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator

from clew.context.ids import IDS, MAX_LENGTH
from tests.integration.security.hostile_headers import INVALID_HEADERS, UNITS, header, many_examples


def ids_in(context):
    return {key: context[key] for key in IDS if key in context}


@pytest.mark.parametrize("unit", UNITS)
def test_a_long_header_is_dropped_and_counted(trusting_propagator, dropped, unit):
    found = trusting_propagator.extract({"baggage": header(unit)}, Context())
    assert ids_in(found) == {}
    assert dropped() == len(IDS)


@pytest.mark.parametrize("unit", UNITS)
def test_the_time_is_linear(trusting_propagator, is_linear, unit):
    is_linear(lambda size: trusting_propagator.extract({"baggage": header(unit, size)}, Context()))


@pytest.mark.parametrize("unit", UNITS)
def test_the_work_is_bounded(trusting_propagator, unit, monkeypatch):
    """No member of a header that is too long is decoded."""
    from clew.core import w3c_baggage

    decoded = []
    monkeypatch.setattr(w3c_baggage, "unquote_to_bytes", lambda text: decoded.append(text) or text)
    trusting_propagator.extract({"baggage": header(unit)}, Context())
    trusting_propagator.extract({"baggage": [header(unit, 5_000)] * 1_000}, Context())
    assert sum(map(len, decoded)) <= w3c_baggage.MAX_BYTES


@pytest.mark.parametrize("value", INVALID_HEADERS)
def test_an_invalid_id_is_dropped(trusting_propagator, value):
    assert ids_in(trusting_propagator.extract({"baggage": value}, Context())) == {}


@pytest.mark.parametrize("value", INVALID_HEADERS)
def test_an_invalid_session_does_not_drop_the_user(trusting_propagator, value):
    found = trusting_propagator.extract({"baggage": f"a=b,{value},user.id=ada"}, Context())
    assert ids_in(found) == {"user.id": "ada"}


def test_a_value_that_is_encoded_twice_is_decoded_once(trusting_propagator):
    found = trusting_propagator.extract({"baggage": "session.id=%25250a"}, Context())
    assert ids_in(found) == {"session.id": "%250a"}


def test_no_other_key_is_set_in_the_context(trusting_propagator):
    value = "metadata=x,tag.tags=x,clew.isolated=1,clew.entry=1,current-span=x,session.id=chat-42"
    found = trusting_propagator.extract({"baggage": value}, Context())
    assert set(found) == {"session.id", "clew.inbound"}


@many_examples
@given(value=st.text(max_size=300) | st.binary(max_size=300).map(lambda it: it.decode("latin-1")))
def test_no_header_raises_and_accepted_ids_are_valid(trusting_propagator, value):
    stock_and_ours = CompositePropagator([W3CBaggagePropagator(), trusting_propagator])
    for text in (value, f"session.id={value}", f"user.id={value},session.id={value}"):
        for propagator in (trusting_propagator, stock_and_ours):
            found = propagator.extract({"baggage": text}, Context())
            for taken in ids_in(found).values():
                assert 0 < len(taken) <= MAX_LENGTH
                assert taken == taken.strip()
                assert not {category(it) for it in taken} & {"Cc", "Cs", "Zl", "Zp"}
            assert not {*IDS, "clew.pseudonym"} & set(get_all(found))


@many_examples
@given(values=st.lists(st.sampled_from(["chat-42", "other", "", "%00"]), min_size=2, max_size=5))
def test_repeated_values_are_used_only_if_equal(trusting_propagator, values):
    value = ",".join(f"session.id={it}" for it in values)
    found = ids_in(trusting_propagator.extract({"baggage": value}, Context()))
    agreed = set(values) <= {"chat-42"} or set(values) <= {"other"}
    assert found == ({"session.id": values[0]} if agreed else {})
