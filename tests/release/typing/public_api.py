"""What users' type checkers see. Checked by mypy, never run."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from clew import (
    Activation,
    Identity,
    Report,
    State,
    Stats,
    current,
    instrument_all,
    isolated,
    stats,
    url,
    using_attributes,
    using_session,
    using_tags,
    using_user,
)

report = instrument_all(only=["openai"], exclude=(), threads=True, eager=False, strict=False)
assert_type(report, Report)
assert_type(stats(), Stats)
assert_type(stats().exported, int)
assert_type(url(), str)
assert_type(url("chat-42"), str)
assert_type(report["openai"], Activation)
assert_type(report["openai"].state, State)

with using_session("chat-42", user_id="ada") as block:
    assert_type(block, using_session)
    assert_type(current(), Identity)
    assert_type(current().session_id, str | None)

instrument_all("openai")  # type: ignore[call-arg]
using_session()  # type: ignore[call-arg]
using_session(42)  # type: ignore[arg-type]
using_tags(tags=["a"])
using_attributes(session_id="s", user_id="u", metadata={"k": 1}, tags=["t"], prompt_template="p")


@using_session("chat-42")
def function(number: int) -> str:
    return str(number)


@using_session(session_id=lambda request: f"chat-{request}")
async def coroutine(request: int) -> bytes:
    async with using_user("ada"), isolated():
        return bytes(request)


@using_user("ada")
def generator() -> Iterator[int]:
    yield 1


@using_user("ada")
async def asynchronous_generator() -> AsyncIterator[int]:
    yield 1


assert_type(function(1), str)
assert_type(generator(), Iterator[int])
assert_type(asynchronous_generator(), AsyncIterator[int])


async def main() -> None:
    assert_type(await coroutine(1), bytes)
