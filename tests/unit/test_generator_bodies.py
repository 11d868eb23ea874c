"""A block in the body of a generator: the body is in the session, its consumer is not."""

import asyncio
import contextlib
import contextvars
import gc
import logging
import threading

import pytest
from opentelemetry import context as otel

from clew import current, using_session, using_user
from clew.context import generator_bodies, misuse


@pytest.fixture(autouse=True)
def _reset_warnings(monkeypatch):
    monkeypatch.setattr(generator_bodies, "_warned", set())
    # That nothing is traced is said once in a process, whichever test comes first.
    monkeypatch.setattr(misuse, "tracing_is_unchecked", False)


def ids():
    return current().session_id, current().user_id


def body(seen):
    with using_session("chat-42"):
        seen.append(ids())
        yield 1
        with using_user("ada"):
            seen.append(ids())
            yield 2
            seen.append(ids())
        yield 3
        seen.append(ids())
    seen.append(ids())


IN_THE_BODY = [
    ("chat-42", None),
    ("chat-42", "ada"),
    ("chat-42", "ada"),
    ("chat-42", None),
    (None, None),
]


def test_the_consumer_is_not_in_the_session_and_the_body_is():
    seen = []
    for _ in body(seen):
        assert not current()
    assert not current()
    assert seen == IN_THE_BODY


def test_the_consumers_own_session_is_the_consumers():
    seen = []
    with using_session("mine", user_id="me"):
        for _ in body(seen):
            assert ids() == ("mine", "me")
            with using_user("another"):
                assert ids() == ("mine", "another")
        assert ids() == ("mine", "me")
    assert seen[0] == ("chat-42", "me")


def test_spans_of_the_body_are_in_its_session_and_the_consumers_are_not(telemetry):
    def traced():
        with using_session("chat-42"):
            for number in range(2):
                telemetry.tracer.start_span(f"body-{number}").end()
                yield number

    for number in traced():
        telemetry.tracer.start_span(f"consumer-{number}").end()
    assert {name: said.get("session.id") for name, said in telemetry.named().items()} == {
        "body-0": "chat-42",
        "body-1": "chat-42",
        "consumer-0": None,
        "consumer-1": None,
    }


@pytest.mark.parametrize("end", ["close", "del", "throw", "exhaust"])
def test_after_the_generator_ends_nothing_of_its_block_is_left(end, caplog):
    generator = body([])
    next(generator)
    assert not current()
    if end == "close":
        generator.close()
    elif end == "throw":
        with pytest.raises(KeyError):
            generator.throw(KeyError())
    elif end == "exhaust":
        list(generator)
    del generator
    gc.collect()
    assert not current()
    assert caplog.records == []


def test_the_block_of_an_abandoned_generator_applies_to_nothing():
    generator = body([])
    next(generator)
    next(generator)
    assert not current()
    with using_session("later"):
        assert ids() == ("later", None)
    assert not current()
    generator.close()
    assert not current()


def test_two_generators_at_once_keep_their_own_sessions():
    one, other = [], []
    for _ in zip(body(one), body(other), strict=True):
        assert not current()
    assert one == other == IN_THE_BODY


def test_a_generator_that_consumes_another_keeps_its_own_session():
    seen = []

    def outer():
        with using_user("eve"):
            for item in body(seen):
                assert ids() == (None, "eve")
                yield item

    for _ in outer():
        assert not current()
    assert seen[0] == ("chat-42", "eve")
    assert not current()


def test_a_generator_begun_inside_a_block_keeps_its_session_after_the_block():
    def items():
        with using_session("chat-42"):
            for _ in range(3):
                yield ids()

    with using_session("other"):
        generator = items()
        next(generator)
        with using_user("ada"):
            assert ids() == ("other", "ada")
    assert not current()
    assert next(generator) == ("chat-42", None)
    assert list(generator) == [("chat-42", None)]
    assert otel.get_current() == {}


def test_a_block_entered_in_a_body_may_be_left_by_a_plain_function():
    def items():
        block.__enter__()
        yield ids()
        yield ids()

    def leave():
        block.__exit__(None, None, None)

    block = using_session("chat-42")
    generator = items()
    assert next(generator) == ("chat-42", None)
    leave()
    assert next(generator) == (None, None)
    assert otel.get_current() == {}


def test_a_block_entered_by_a_plain_function_may_be_left_in_a_body(caplog):
    def enter():
        block.__enter__()

    def items():
        yield ids()
        block.__exit__(None, None, None)
        yield ids()

    block = using_session("chat-42")
    enter()
    assert list(items()) == [("chat-42", None), (None, None)]
    assert otel.get_current() == {}
    (warning,) = caplog.messages
    assert f"{__file__}:{items.__code__.co_firstlineno + 2}" in warning


def test_of_bodies_that_consume_each_other_the_innermost_counts():
    def outer():
        with using_session("outer", user_id="eve"):
            yield ids()
            for _ in middle_one:
                yield

    def middle():
        with using_session("middle"):
            yield
            for _ in inner_one:
                yield

    def inner():
        with using_user("ada"):
            yield
            seen.append(ids())
            yield

    seen = []
    inner_one, middle_one, outer_one = inner(), middle(), outer()
    for generator in (inner_one, middle_one, outer_one):
        next(generator)
    with using_session("theirs"):
        next(outer_one)
        assert ids() == ("theirs", None)
    assert seen == [("middle", "ada")]
    for generator in (inner_one, middle_one, outer_one):
        generator.close()


def test_a_callback_of_a_loop_that_is_in_no_task_may_have_generators():
    def callback(found):
        generator = body([])
        next(generator)
        seen.append(ids())
        generator.close()
        found.set_result(otel.get_current() == {})

    async def main():
        loop = asyncio.get_running_loop()
        found = loop.create_future()
        loop.call_soon(callback, found)
        return await asyncio.wait_for(found, 10)

    seen = []
    assert asyncio.run(main())
    assert seen == [(None, None)]


def test_the_consumer_of_an_async_generator_is_not_in_its_session():
    seen = []

    async def abody():
        async with using_session("chat-42"):
            seen.append(ids())
            yield 1
            await asyncio.sleep(0)
            seen.append(ids())
            yield 2

    async def main():
        async for _ in abody():
            assert not current()
            await asyncio.sleep(0)
            assert not current()
        assert not current()

    asyncio.run(main())
    assert seen == [("chat-42", None)] * 2


def test_tasks_started_by_an_async_body_are_in_its_session():
    async def abody():
        async def work():
            await asyncio.sleep(0)
            return ids()

        with using_session("chat-42"):
            yield await asyncio.gather(work(), work())

    async def main():
        return [item async for item in abody()]

    assert asyncio.run(main()) == [[("chat-42", None)] * 2]


def test_a_block_in_a_context_manager_function_applies_to_the_code_inside_with():
    @contextlib.contextmanager
    def block():
        with using_session("chat-42"):
            yield

    @contextlib.asynccontextmanager
    async def async_block():
        async with using_session("chat-42"):
            yield

    async def main():
        async with async_block():
            await asyncio.sleep(0)
            assert ids() == ("chat-42", None)
        assert not current()

    with block():
        assert ids() == ("chat-42", None)
    assert not current()
    asyncio.run(main())


@pytest.fixture
def session_of_a_fixture():
    with using_session("chat-42"):
        yield


@pytest.mark.usefixtures("session_of_a_fixture")
def test_a_block_in_a_fixture_applies_to_the_test(caplog):
    token = otel.attach(otel.get_current())
    assert ids() == ("chat-42", None)
    otel.detach(token)
    assert caplog.records == []


def test_steps_in_contexts_of_their_own_are_warned_of_with_the_line(caplog):
    for _ in range(2):
        generator = body([])
        for _ in range(3):
            contextvars.copy_context().run(next, generator)
        contextvars.copy_context().run(next, generator, None)
    assert not current()
    warnings = [it for it in caplog.records if it.levelno == logging.WARNING]
    assert len(warnings) in (1, 2)
    assert all(__file__ in it.getMessage() for it in warnings)
    assert all("@using_session" in it.getMessage() for it in warnings)
    assert "Failed to detach" not in caplog.text


def test_a_block_in_a_decorated_body_is_exact_for_what_it_starts(caplog):
    @using_session("chat-42")
    def decorated():
        with using_user("ada"):
            yield contextvars.copy_context()

    generator = decorated()
    assert next(generator).run(ids) == ("chat-42", "ada")
    assert not current()
    generator.close()
    assert caplog.records == []


def test_a_thread_with_a_copy_of_the_context_is_warned_of(caplog):
    def elsewhere():
        seen.append(ids())

    seen = []
    for _ in body([]):
        copied = otel.get_current()

        def run(copied=copied):
            otel.attach(copied)
            elsewhere()

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    warnings = [it.getMessage() for it in caplog.records]
    assert warnings
    assert all("Decorate the generator instead" in it for it in warnings)
