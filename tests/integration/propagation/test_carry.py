"""`carry` on each kind of callable and iterator, in this process and pickled."""

import asyncio
import contextvars
import copy
import inspect
import pickle
from functools import partial

import pytest
from opentelemetry.context import attach, detach, get_value, set_value

from clew import current, using_session
from clew.context.carry import carry
from clew.core.errors import IdentityTypeError
from tests.integration.propagation import callables
from tests.integration.propagation.callables import CALLABLES

ADA = ("chat-1", "ada lovelace")
inside = using_session("chat-1", user_id="ada lovelace")
elsewhere = using_session("chat-2", user_id="bob")
each_kind = pytest.mark.parametrize(("thing", "result"), CALLABLES.values(), ids=CALLABLES.keys())


def carried_inside(thing):
    with inside:
        return carry(thing)


def in_three_contexts(call):
    """Call outside of all blocks, inside another, and in an empty context."""
    outside = call()
    with elsewhere:
        within = call()
        assert callables.ids() == ("chat-2", "bob")
    alone = contextvars.Context().run(call)
    assert not current()
    return {outside, within, alone}


@each_kind
def test_a_call_has_the_ids_of_where_it_was_carried(thing, result):
    job = carried_inside(thing)
    found = in_three_contexts(lambda: result(job()))
    assert found in ({ADA}, {(ADA, ADA)})


@each_kind
def test_it_stays_the_same_kind(thing, result):
    job = carried_inside(thing)
    target = thing if inspect.isroutine(thing) or inspect.isclass(thing) else None
    for question in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ):
        wanted = thing if target or isinstance(thing, partial) else type(thing).__call__
        assert question(job) == question(wanted)
    assert inspect.signature(job) == inspect.signature(thing)
    assert job.__wrapped__ is thing
    assert copy.copy(job) is copy.deepcopy(job) is job
    assert repr(thing) in repr(job)
    assert "ada lovelace" not in repr(job)


@each_kind
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_has_the_ids(thing, result, protocol):
    sent = pickle.dumps(carried_inside(thing), protocol)
    found = in_three_contexts(lambda: result(pickle.loads(sent)()))
    assert found in ({ADA}, {(ADA, ADA)})


def test_it_has_the_attributes_of_what_is_carried():
    assert carried_inside(callables.Asker()).greeting == "hello"
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = carried_inside(callables.function).nothing_like_it


def test_a_carried_function_can_be_a_method():
    class Agent:
        name = "agent"

        @carried_inside
        def answer(self):
            return self.name, callables.ids()

        @carried_inside
        @staticmethod
        def static():
            return callables.ids()

    assert Agent().answer() == ("agent", ADA)
    assert Agent.answer(Agent()) == ("agent", ADA)
    assert Agent.static() == ADA


def test_a_second_carry_changes_nothing():
    job = carried_inside(callables.function)
    with elsewhere:
        job = carry(job)
    assert job() == ADA


def test_exceptions_are_passed_on_unchanged():
    def fail():
        raise KeyError(callables.ids())

    with elsewhere, pytest.raises(KeyError) as caught:
        carried_inside(fail)()
    assert caught.value.args == (ADA,)
    assert not current()


def test_in_one_process_the_whole_context_is_carried():
    token = attach(set_value("baggage of the application", 1))
    job = carry(partial(get_value, "baggage of the application"))
    detach(token)
    assert job() == 1


# --- generators, coroutines, iterators ---


def test_generators():
    made = carried_inside(callables.generator_function())
    assert inspect.isgenerator(made)
    assert [next(made), contextvars.Context().run(next, made)] == [ADA, ADA]
    assert list(made) == []


def test_a_generator_that_has_begun():
    made = callables.generator_function()
    assert next(made) == (None, None)
    assert next(carried_inside(made)) == ADA


def test_coroutines():
    made = carried_inside(callables.coroutine_function())
    assert inspect.iscoroutine(made)
    assert asyncio.run(made) == ADA


def test_async_generators():
    made = carried_inside(callables.async_generator_function())
    assert inspect.isasyncgen(made)
    assert callables.collect(made) == (ADA, ADA)


def test_iterators_keep_their_class_and_attributes():
    numbers = callables.Numbers()
    made = carried_inside(numbers)
    assert isinstance(made, callables.Numbers)
    assert iter(made) is made
    assert next(made) == ADA
    with elsewhere, pytest.raises(KeyError):
        next(made)
    assert list(made) == [ADA]
    made.close()
    assert numbers.closed


def test_async_iterators_keep_their_class():
    made = carried_inside(callables.AsyncNumbers())
    assert isinstance(made, callables.AsyncNumbers)
    assert callables.collect(made) == (ADA, ADA)


def test_iterators_that_can_be_pickled():
    made = carried_inside(iter([1, 2, 3]))
    assert next(made) == 1
    assert list(pickle.loads(pickle.dumps(made))) == [2, 3]


@pytest.mark.parametrize("thing", [None, 42, "text", [1, 2], {}])
def test_other_things_raise(thing):
    with pytest.raises(IdentityTypeError, match=f"not {type(thing).__name__}"):
        carry(thing)


def test_what_cannot_be_pickled_raises_pickles_own_error():
    with pytest.raises(TypeError, match="cannot pickle 'generator' object"):
        pickle.dumps(carried_inside(callables.generator_function()))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(carried_inside(lambda: None))


def test_cloudpickle_sends_the_carried_function():
    cloudpickle = pytest.importorskip("cloudpickle")
    for function in (callables.function, lambda *_: callables.ids()):
        sent = cloudpickle.dumps(carried_inside(function))
        assert pickle.loads(sent)() == ADA
