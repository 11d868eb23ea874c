"""Generators that enter blocks through context managers, or that a framework drives by hand."""

import asyncio
import contextlib
import contextvars
import importlib
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from clew import current, using_session, using_user
from clew.context import generator_bodies


@pytest.fixture(autouse=True)
def _reset_warnings(monkeypatch):
    monkeypatch.setattr(generator_bodies, "_warned", set())


def session():
    return current().session_id


def through_an_exit_stack():
    with contextlib.ExitStack() as stack:
        stack.enter_context(using_session("alice"))
        yield session()
        stack.enter_context(using_user("ada"))
        yield session()


def through_a_stack_that_is_closed_elsewhere():
    with contextlib.ExitStack() as outer:
        with contextlib.ExitStack() as stack:
            stack.enter_context(using_session("alice"))
            outer.push(stack.pop_all())
        yield session()
        yield session()


@contextlib.contextmanager
def managed():
    with using_session("alice"):
        yield


@contextlib.contextmanager
def managed_twice():
    with managed(), using_user("ada"):
        yield


class Managed:
    def __enter__(self):
        self._block = using_session("alice")
        return self._block.__enter__()

    def __exit__(self, *error):
        return self._block.__exit__(*error)


class ManagedByAStack:
    def __enter__(self):
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(managed_twice())

    def __exit__(self, *error):
        return self._stack.__exit__(*error)


class Derived(using_session):
    __slots__ = ()

    def __enter__(self):
        return super().__enter__()


@pytest.mark.parametrize(
    "manager",
    [managed, managed_twice, Managed, ManagedByAStack, lambda: Derived("alice")],
    ids=["function", "nested", "class", "stack in a class", "subclass"],
)
def test_a_context_manager_in_the_body_does_not_reach_the_consumer(manager):
    def body():
        with manager():
            yield session()
            yield session()

    assert_consumer_unaffected(body)


@pytest.mark.parametrize("body", [through_an_exit_stack, through_a_stack_that_is_closed_elsewhere])
def test_an_exit_stack_in_the_body_does_not_reach_the_consumer(body):
    assert_consumer_unaffected(body)


def assert_consumer_unaffected(body):
    seen = []
    for item in body():
        assert not current()
        seen.append(item)
    assert seen == ["alice"] * 2
    assert not current()
    with using_session("mine"):
        generator = body()
        next(generator)
        assert session() == "mine"
        generator.close()
        assert session() == "mine"
    assert not current()


@contextlib.asynccontextmanager
async def managed_async():
    async with using_session("alice"):
        yield


class ManagedAsync:
    async def __aenter__(self):
        self._block = using_session("alice")
        await self._block.__aenter__()

    async def __aexit__(self, *error):
        await self._block.__aexit__(*error)


async def through_an_async_exit_stack():
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(managed_async())
        yield session()
        await asyncio.sleep(0)
        yield session()


@pytest.mark.parametrize("manager", [managed_async, ManagedAsync, None])
def test_an_async_context_manager_in_the_body_does_not_reach_the_consumer(manager):
    async def body():
        async with manager():
            yield session()
            await asyncio.sleep(0)
            yield session()

    async def main():
        seen = []
        async for item in (body if manager else through_an_async_exit_stack)():
            assert not current()
            await asyncio.sleep(0)
            seen.append(item)
        assert not current()
        return seen

    assert asyncio.run(main()) == ["alice"] * 2


def test_context_managers_in_a_plain_function_are_ordinary_blocks():
    with managed_twice(), Managed(), contextlib.ExitStack() as stack:
        assert session() == "alice"
        stack.enter_context(using_session("bob"))
        assert session() == "bob"
    assert not current()


@pytest.fixture
def framework(tmp_path, monkeypatch):
    """A package that is neither the application's nor one that clew knows."""
    (tmp_path / "injecting.py").write_text(
        textwrap.dedent("""
            def provide(generator, use):
                value = next(generator)
                try:
                    return use()
                finally:
                    next(generator, None)

            async def provide_async(generator, use):
                await anext(generator)
                try:
                    return use()
                finally:
                    await anext(generator, None)

            def each(generator, use):
                return [use() for item in generator]

            async def each_async(generator, use):
                return [use() async for item in generator]
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("injecting")


def resource():
    with using_session("alice"):
        yield


async def async_resource():
    async with using_session("alice"):
        yield


def warnings(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_generator_driven_by_hand_applies_between_its_steps_and_is_warned_of(framework, caplog):
    for _ in range(2):
        assert framework.provide(resource(), session) == "alice"
        assert not current()
    (warning,) = warnings(caplog)
    assert f"{__file__}:{resource.__code__.co_firstlineno + 1}" in warning
    assert "a framework drives it by hand" in warning
    assert "@using_session" in warning


def test_an_async_generator_driven_by_hand_applies_between_its_steps_and_is_warned_of(
    framework, caplog
):
    async def main():
        assert await framework.provide_async(async_resource(), session) == "alice"
        assert not current()

    asyncio.run(main())
    assert len(warnings(caplog)) == 1


def test_a_framework_that_iterates_is_not_in_the_session(framework, caplog):
    assert framework.each(resource(), session) == [None]
    assert asyncio.run(framework.each_async(async_resource(), session)) == [None]
    assert warnings(caplog) == []


def test_what_a_pool_does_after_a_generators_step_is_not_in_its_session(caplog):
    generator = resource()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(next, generator).result()
        assert pool.submit(session).result() is None
        pool.submit(generator.close).result()
    assert warnings(caplog) == []


def test_a_generator_stepped_in_other_contexts_is_warned_of(caplog):
    """As Starlette does with a generator that is not asynchronous."""
    seen = []

    def body():
        with using_session("alice"):
            yield
            seen.append(session())
            yield

    def step():
        contextvars.Context().run(next, generator, None)

    generator = body()
    for _ in range(3):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert seen == [None]
    (warning,) = warnings(caplog)
    assert "each of its steps runs in a context of its own" in warning
    assert f"{__file__}:{body.__code__.co_firstlineno + 1}" in warning
