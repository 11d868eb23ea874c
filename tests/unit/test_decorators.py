"""Decorated functions keep their kind, signature and name, and can be pickled and copied."""

import asyncio
import copy
import inspect
import pickle

import pytest

from clew import current, isolated, using_attributes, using_session, using_user

session = using_session("chat-42", user_id="ada")


def ids():
    said = current()
    return said.session_id, said.user_id


BOTH = ("chat-42", "ada")


@session
def function(a, /, b: int = 2, *rest: str, c, d=4, **more) -> tuple:
    """Say who."""
    return (a, b, rest, c, d, more, *ids())


@session
async def coroutine(a, *, b=2):
    """Say who."""
    await asyncio.sleep(0)
    return (a, b, *ids())


@session
def generator(a, *, b=2):
    """Say who."""
    yield (a, b, *ids())


@session
async def async_generator(a, *, b=2):
    """Say who."""
    await asyncio.sleep(0)
    yield (a, b, *ids())


DECORATED = [function, coroutine, generator, async_generator]
KINDS = [
    inspect.isfunction,
    inspect.isroutine,
    inspect.iscoroutinefunction,
    asyncio.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    inspect.isclass,
    inspect.ismethod,
    callable,
]
each = pytest.mark.parametrize("decorated", DECORATED, ids=lambda made: made.__name__)


async def all_of(items):
    return [item async for item in items]


def result_of(made):
    if inspect.isgenerator(made):
        return list(made)
    if inspect.isasyncgen(made):
        return asyncio.run(all_of(made))
    return asyncio.run(made) if inspect.iscoroutine(made) else made


@each
@pytest.mark.filterwarnings("ignore:'asyncio.iscoroutinefunction' is deprecated")
@pytest.mark.parametrize("is_kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_decorated_function_keeps_its_kind(decorated, is_kind):
    assert is_kind(decorated) == is_kind(decorated.__wrapped__)


@each
def test_signature_name_and_docstring_are_kept(decorated):
    plain = decorated.__wrapped__
    assert inspect.signature(decorated) == inspect.signature(plain)
    assert inspect.getdoc(decorated) == "Say who."
    for name in ("__name__", "__qualname__", "__module__", "__annotations__", "__defaults__"):
        assert getattr(decorated, name) == getattr(plain, name)
    assert inspect.getsource(decorated).startswith("@session")


@each
def test_module_level_functions_are_pickled_by_name_and_copied_as_themselves(decorated):
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert copy.copy(decorated) is decorated
    assert copy.deepcopy({"a": decorated})["a"] is decorated


def test_the_body_sees_the_session_and_the_caller_does_not():
    assert function(1, 3, "r", c=5, e=6) == (1, 3, ("r",), 5, 4, {"e": 6}, *BOTH)
    assert result_of(coroutine(1, b=3)) == (1, 3, *BOTH)
    assert result_of(generator(1, b=3)) == [(1, 3, *BOTH)]
    assert result_of(async_generator(1, b=3)) == [(1, 3, *BOTH)]
    assert not current()


@pytest.mark.parametrize("decorated", [coroutine, generator, async_generator])
def test_a_decorated_function_returns_the_same_type(decorated):
    made, plain = decorated(1), decorated.__wrapped__(1)
    assert type(made) is type(plain)
    assert result_of(made) != result_of(plain)


def test_wrong_arguments_raise_the_functions_own_error():
    with pytest.raises(TypeError, match=r"function\(\) missing 1 required positional"):
        function(c=1)
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        generator(1, z=1)
    assert not current()


def test_an_exception_is_raised_and_the_block_is_left():
    @session
    def fails():
        assert ids() == BOTH
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert not current()


def test_several_blocks_decorate_one_function():
    @using_session("outer")
    @using_user("ada")
    @using_attributes(session_id="inner", tags=["t"])
    def stacked():
        return current()

    said = stacked()
    assert (said.session_id, said.user_id, said.tags) == ("inner", "ada", ("t",))


def test_isolated_as_a_decorator():
    with session:
        assert isolated()(ids)() == (None, None)
        assert list(isolated()(generator.__wrapped__)(1)) == [(1, 2, None, None)]
        assert ids() == BOTH


def test_a_decorated_function_can_call_itself():
    @session
    def countdown(number):
        return [ids(), *countdown(number - 1)] if number else []

    assert countdown(3) == [BOTH] * 3
    assert not current()
