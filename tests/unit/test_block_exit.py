"""Blocks left in any order, anywhere, or never: nothing is logged and nothing leaks."""

import asyncio
import contextvars
import gc
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import context as otel
from opentelemetry.trace import INVALID_SPAN, get_current_span

from clew import current, using_session, using_tags, using_user


def in_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@pytest.mark.parametrize("elsewhere", [in_thread, lambda leave: contextvars.Context().run(leave)])
def test_a_block_left_in_another_context_than_it_was_entered_in(elsewhere):
    block = using_session("chat-42")

    def entered():
        block.__enter__()
        assert current()

    def leave():
        with using_session("other"):
            block.__exit__(None, None, None)
            assert current().session_id == "other"
        assert not current()

    contextvars.copy_context().run(entered)
    assert not current()
    elsewhere(leave)
    leave()


def test_a_block_left_in_another_task_than_it_was_entered_in(caplog):
    async def main():
        block = using_session("chat-42")
        await asyncio.create_task(block.__aenter__())
        assert not current()
        with using_user("ada"):
            await asyncio.create_task(block.__aexit__(None, None, None))
            assert current().user_id == "ada"

    asyncio.run(main())
    assert caplog.records == []


def reachable(value):
    """Return the OpenTelemetry contexts that *value* keeps alive."""
    seen, waiting = {}, [value]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and isinstance(each, dict | tuple):
            seen[id(each)] = each
            waiting.extend(gc.get_referents(each))
    return [each for each in seen.values() if isinstance(each, otel.Context)]


def test_chained_tasks_do_not_accumulate_contexts_of_blocks_that_were_left():
    # As a task that starts the next one, or a timer that sets itself again, inside a block.
    def once():
        with using_session("chat-42"):
            return contextvars.copy_context()

    copy = contextvars.copy_context()
    for _ in range(100):
        copy = copy.run(once)
    assert copy.run(current).session_id == "chat-42"
    assert len(reachable(copy.run(otel.get_current))) < 10


def test_a_block_left_in_a_copy_of_the_context_it_was_entered_in():
    def copy():
        block.__exit__(None, None, None)
        return current()

    block = using_session("chat-42")
    with block:
        assert not contextvars.copy_context().run(copy)
        assert current().session_id == "chat-42"
    assert not current()


def test_blocks_left_out_of_order():
    first, second = using_session("chat-42"), using_user("ada")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert (current().session_id, current().user_id) == (None, "ada")
    second.__exit__(None, None, None)
    assert not current()


def test_blocks_left_out_of_order_inside_another_block():
    with using_session("outer", user_id="ada"):
        blocks = [using_session("a"), using_user("b"), using_tags(["c"]), using_session("d")]
        for block in blocks:
            block.__enter__()
        for index in (1, 3, 0, 2):
            blocks[index].__exit__(None, None, None)
        said = current()
        assert (said.session_id, said.user_id, said.tags) == ("outer", "ada", ())


def test_a_block_left_twice_or_never_entered():
    with using_session("chat-42"):
        block = using_user("ada")
        block.__exit__(None, None, None)
        with block:
            pass
        block.__exit__(None, None, None)
        assert (current().session_id, current().user_id) == ("chat-42", None)


def discarded(session):
    with using_session(session):
        yield


def test_a_discarded_generator_is_collected_inside_a_block():
    generator = discarded("chat-42")
    next(generator)
    with using_user("ada"):
        del generator
        gc.collect()
        assert current().user_id == "ada"
    assert not current()


def test_a_discarded_generator_is_collected_after_the_block():
    with using_user("ada"):
        generator = discarded("chat-42")
        next(generator)
    assert current().user_id is None
    generator.close()
    assert not current()


def test_a_discarded_generator_does_not_restore_an_ended_span(telemetry):
    with telemetry.tracer.start_as_current_span("request"):
        generator = discarded("chat-42")
        next(generator)
    generator.close()
    assert get_current_span() is INVALID_SPAN
    assert not current()
