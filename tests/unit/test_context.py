"""Blocks: the attributes they set, nested, isolated, and one object entered many times at once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier, Thread

import pytest

from clew import (
    current,
    isolated,
    using_attributes,
    using_metadata,
    using_prompt_template,
    using_session,
    using_tags,
    using_user,
)

SEVEN = {
    "session.id": "chat-42",
    "user.id": "ada",
    "metadata": '{"tier": "gold", "größe": 1}',
    "tag.tags": ("a", "b"),
    "llm.prompt_template.template": "Hello {name}",
    "llm.prompt_template.version": "v1",
    "llm.prompt_template.variables": '{"name": "Ada"}',
}


def test_every_span_inside_carries_both_ids(telemetry):
    with using_session("chat-42", user_id="ada"):
        with telemetry.tracer.start_as_current_span("parent"):
            telemetry.tracer.start_span("child").end()
        telemetry.instrumentor.start_span("call").end()
    telemetry.tracer.start_span("after").end()
    ids = {"session.id": "chat-42", "user.id": "ada"}
    assert telemetry.named() == {"parent": ids, "child": ids, "call": ids, "after": {}}


def test_a_block_returns_itself_and_swallows_no_exception():
    block = using_session("chat-42")
    with block as entered:
        assert entered is block
    with pytest.raises(KeyError), block:
        raise KeyError
    assert not current()


def test_spans_inside_async_with_carry_both_ids(telemetry):
    async def main():
        async with using_session("chat-42", user_id="ada") as block:
            assert isinstance(block, using_session)
            await asyncio.sleep(0)
            assert telemetry.probe() == ("chat-42", "ada")
        assert telemetry.probe() == (None, None)

    asyncio.run(main())


@pytest.mark.parametrize("tracer", ["tracer", "instrumentor", "stranger"])
def test_all_seven_attributes_in_one_block(telemetry, tracer):
    with using_attributes(
        session_id="chat-42",
        user_id="ada",
        metadata={"tier": "gold", "größe": 1},
        tags=["a", "b"],
        prompt_template="Hello {name}",
        prompt_template_version="v1",
        prompt_template_variables={"name": "Ada"},
    ):
        getattr(telemetry, tracer).start_span("span").end()
    assert telemetry.last() == SEVEN


def test_all_seven_attributes_one_by_one(telemetry):
    with (
        using_session("chat-42"),
        using_user("ada"),
        using_metadata({"tier": "gold", "größe": 1}),
        using_tags(["a", "b"]),
        using_prompt_template(template="Hello {name}", version="v1", variables={"name": "Ada"}),
    ):
        telemetry.probe()
    assert telemetry.last() == SEVEN


def test_current_says_what_the_next_span_carries():
    assert not current()
    with using_attributes(session_id="chat-42", user_id="ada", metadata={"a": [1]}, tags=["t"]):
        said = current()
        assert said
        assert (said.session_id, said.user_id) == ("chat-42", "ada")
        assert (said.metadata, said.tags) == ({"a": [1]}, ("t",))
        assert said.prompt_template is None
    assert not current()


def test_an_inner_block_overrides_the_outer_one_until_it_ends(telemetry):
    with using_session("outer", user_id="ada"):
        with using_session("inner"):
            assert telemetry.probe() == ("inner", "ada")
            with using_user("bob"):
                assert telemetry.probe() == ("inner", "bob")
        assert telemetry.probe() == ("outer", "ada")


def test_isolated_inherits_nothing(telemetry):
    with using_attributes(session_id="outer", user_id="ada", metadata={"a": 1}, tags=["t"]):
        with telemetry.tracer.start_as_current_span("parent"), isolated():
            assert not current()
            telemetry.probe()
            assert telemetry.last() == {}
            with using_session("inner"):
                assert telemetry.probe() == ("inner", None)
        assert telemetry.probe() == ("outer", "ada")


def test_one_object_entered_inside_itself(telemetry):
    block = using_session("chat-42")
    with using_session("outer"):
        with block:
            with block, using_session("inner"), block:
                assert telemetry.probe()[0] == "chat-42"
            assert telemetry.probe()[0] == "chat-42"
        assert telemetry.probe()[0] == "outer"
    assert not current()


def test_one_object_in_concurrent_tasks(telemetry):
    block = using_session("shared")

    async def one(number):
        async with using_user(f"user-{number}"):
            for _ in range(3):
                with block:
                    await asyncio.sleep(0)
                    assert telemetry.probe() == ("shared", f"user-{number}")
                await asyncio.sleep(0)
                assert telemetry.probe() == (None, f"user-{number}")
        assert not current()

    async def main():
        await asyncio.gather(*map(one, range(10)))
        assert not current()

    asyncio.run(main())


def test_one_object_in_threads_at_once(telemetry):
    block, together = using_session("shared"), Barrier(4, timeout=10)

    def one(number):
        with using_user(f"user-{number}"):
            together.wait()
            with block:
                together.wait()
                inside = current()
            together.wait()
            return inside.session_id, inside.user_id, bool(current().session_id)

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(one, range(4)))
    assert seen == [("shared", f"user-{number}", False) for number in range(4)]
    assert telemetry.probe() == (None, None)


def test_a_task_inherits_the_block_and_keeps_it_after_its_end():
    async def main():
        async def later():
            await asyncio.sleep(0.001)
            return current().session_id

        with using_session("chat-42"):
            task = asyncio.create_task(later())
        assert not current()
        return await task

    assert asyncio.run(main()) == "chat-42"


def test_blocks_and_spans_can_be_nested_in_either_order(telemetry):
    with ExitStack() as stack:
        for number in range(20):
            stack.enter_context(using_session(f"session-{number}"))
            span = telemetry.tracer.start_as_current_span(f"span-{number}")
            stack.enter_context(span)
    assert {name: said["session.id"] for name, said in telemetry.named().items()} == {
        f"span-{number}": f"session-{number}" for number in range(20)
    }


def test_a_new_thread_starts_without_ids(telemetry):
    seen = []
    with using_session("chat-42"):
        thread = Thread(target=lambda: seen.append(telemetry.probe()))
        thread.start()
        thread.join()
    assert seen == [(None, None)]
