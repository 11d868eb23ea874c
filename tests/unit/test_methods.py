"""Decorated methods of all kinds, and callables that are not plain functions."""

import asyncio
import copy
import functools
import inspect
import pickle
from contextlib import asynccontextmanager, contextmanager

import pytest

from clew import IdentityTypeError, current, using_session

session = using_session("chat-42", user_id="ada")
BOTH = ("chat-42", "ada")


def ids():
    said = current()
    return said.session_id, said.user_id


async def coroutine(a):
    await asyncio.sleep(0)
    return (a, *ids())


def generator(a):
    yield (a, *ids())


async def async_generator(a):
    yield (a, *ids())


async def all_of(items):
    return [item async for item in items]


def result_of(made):
    if inspect.isgenerator(made):
        return list(made)
    if inspect.isasyncgen(made):
        return asyncio.run(all_of(made))
    return asyncio.run(made) if inspect.iscoroutine(made) else made


class Service:
    name = "service"

    @session
    def method(self, a):
        return (self.name, a, *ids())

    @session
    @staticmethod
    def below_static(a):
        return (a, *ids())

    @staticmethod
    @session
    def above_static(a):
        return (a, *ids())

    @session
    @classmethod
    def below_class(cls, a):
        return (cls.name, a, *ids())

    @classmethod
    @session
    def above_class(cls, a):
        return (cls.name, a, *ids())

    @session
    async def async_method(self, a):
        await asyncio.sleep(0)
        return (self.name, a, *ids())

    @session
    def generator_method(self, a):
        yield (self.name, a, *ids())

    @session
    async def async_generator_method(self, a):
        yield (self.name, a, *ids())

    @property
    @session
    def prop(self):
        return ids()

    @session
    def __call__(self, a):
        return (self.name, a, *ids())


class Special(Service):
    name = "special"

    def method(self, a):
        return super().method(a)


@pytest.mark.parametrize("owner", [Service(), Special()], ids=["own", "inherited"])
def test_methods_of_all_kinds(owner):
    expected = (owner.name, 1, *BOTH)
    assert owner.method(1) == expected
    assert type(owner).method(owner, 1) == expected
    assert owner(1) == expected
    assert owner.below_class(1) == owner.above_class(1) == type(owner).below_class(1) == expected
    assert owner.below_static(1) == owner.above_static(1) == (1, *BOTH)
    assert type(owner).below_static(1) == type(owner).above_static(1) == (1, *BOTH)
    assert result_of(owner.async_method(1)) == expected
    assert result_of(owner.generator_method(1)) == [expected]
    assert result_of(owner.async_generator_method(1)) == [expected]
    assert owner.prop == BOTH
    assert inspect.iscoroutinefunction(owner.async_method)
    assert inspect.isgeneratorfunction(owner.generator_method)
    assert inspect.isasyncgenfunction(owner.async_generator_method)
    assert str(inspect.signature(owner.method)) == "(a)"
    assert not current()


def test_partials_and_callable_objects_can_be_decorated():
    assert session(functools.partial(lambda a: (a, *ids()), 1))() == (1, *BOTH)
    assert session(Service().method)(1) == ("service", 1, *BOTH)
    assert result_of(session(functools.partial(coroutine, 1))()) == (1, *BOTH)


def test_a_callable_object_with_an_async_call():
    class Handler:
        async def __call__(self):
            await asyncio.sleep(0)
            return ids()

    assert result_of(session(Handler())()) == BOTH


def test_a_decorated_context_manager_function_stays_one():
    @session
    @contextmanager
    def block(a):
        yield a

    @session
    @asynccontextmanager
    async def async_block(a):
        yield a

    async def main():
        async with async_block(2) as entered:
            return entered

    with block(1) as entered:
        assert entered == 1
    assert asyncio.run(main()) == 2
    assert not current()


def test_a_context_manager_made_of_a_decorated_generator():
    @contextmanager
    @session
    def block():
        yield ids()

    with block() as inside:
        assert inside == BOTH
        assert not current()


def test_the_kind_is_the_functions_own_not_that_of_what_it_wraps():
    @session
    @functools.wraps(coroutine)
    def runs(*arguments):
        return asyncio.run(coroutine(*arguments))

    @session
    @functools.wraps(generator)
    def collects(*arguments):
        return list(generator(*arguments))

    assert runs(1) == (1, *BOTH)
    assert collects(1) == [(1, *BOTH)]


@pytest.mark.parametrize("made_by", [coroutine, generator, async_generator])
def test_a_plain_function_that_returns_anothers_generator_or_coroutine(made_by):
    @session
    @functools.wraps(made_by)
    def hands_on(*arguments):
        return made_by(*arguments)

    result = result_of(hands_on(1))
    assert result in ((1, *BOTH), [(1, *BOTH)])


def test_a_class_cannot_be_decorated():
    with pytest.raises(IdentityTypeError, match=r"a class cannot be decorated \(Service\)"):
        session(Service)


class Agent:
    def __init__(self, chat):
        self.chat = chat

    @using_session(session_id=lambda self: self.chat)
    def answer(self):
        return self.chat, current().session_id

    @session
    @classmethod
    def of_class(cls):
        return cls.__name__, *ids()

    @session
    @staticmethod
    def static():
        return ids()


@pytest.mark.parametrize("name", ["answer", "of_class", "static"])
def test_decorated_methods_are_pickled_and_copied_like_plain_ones(name):
    method = getattr(Agent("chat-1"), name)
    expected = method()
    assert pickle.loads(pickle.dumps(method))() == expected
    assert copy.copy(method)() == expected
    assert copy.deepcopy(method)() == expected
    assert copy.deepcopy({"a tool": [method]})["a tool"][0]() == expected


def test_a_deep_copy_of_a_decorated_method_belongs_to_the_copy_of_its_object():
    agent = Agent("chat-1")
    copied, method = copy.deepcopy((agent, agent.answer))
    copied.chat = "chat-2"
    assert method() == ("chat-2", "chat-2")
    assert agent.answer() == ("chat-1", "chat-1")
