"""Defects of upstream's instrumentation of aioboto3."""

import asyncio
import contextlib
import gc

from opentelemetry import context, trace

from tests.integration.contract.bedrock_defects import AGENT
from tests.integration.contract.defects import Defects
from tests.landing.calls.bedrock import CLAUDE, CLAUDE_BODY, MESSAGES

DEFECTS = Defects()
defect = DEFECTS.defect
CONVERSE = {"modelId": CLAUDE, "messages": MESSAGES}
INVOKE = {"modelId": CLAUDE, "body": CLAUDE_BODY}


def client(server, service="bedrock-runtime", **more):
    """Return a client of aioboto3, or of a newer aiobotocore, which it does not support yet."""
    try:
        from aioboto3 import Session
    except ImportError:
        from aiobotocore.session import get_session

        create = get_session().create_client
    else:
        create = Session().client
    return create(
        service,
        **more,
        region_name="us-east-1",
        endpoint_url=server.bedrock_url,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )


async def cancel_in_flight(server, call, requests=1):
    """Run *call*, and cancel it as soon as the server has received its request."""
    task = asyncio.create_task(call)
    assert await asyncio.to_thread(server.wait_for, requests)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    raise AssertionError


@defect(
    mended=["whole", "whole", "whole", "whole", "whole"],
    upstream=["TypeError", "TypeError", "AttributeError", "AttributeError", "for ever the same"],
)
def body_has_only_a_read_method(scene):
    async def with_block(body):
        async with body as raw:
            return await raw.read()

    async def steps(body):
        return b"".join([chunk async for chunk in body])

    async def chunks(body):
        return b"".join([chunk async for chunk in body.iter_chunks(50)])

    async def lines(body):
        return b"".join([line async for line in body.iter_lines()])

    async def amounts(body):
        first, second = await body.read(50), await body.read(50)
        assert first != second, "for ever the same"
        return first + second + await body.read()

    async def main():
        found = []
        async with client(scene.server) as runtime:
            for way in (with_block, steps, chunks, lines, amounts):
                try:
                    read = await way((await runtime.invoke_model(**INVOKE))["body"])
                    found.append("whole" if read.endswith(b"}") else read)
                except (TypeError, AttributeError) as error:
                    found.append(type(error).__name__)
                except AssertionError as error:
                    found.append(str(error).partition("\n")[0])
        return found

    return asyncio.run(main())


@defect(
    mended=[("converse", "ERROR"), ("converse_stream", "ERROR"), ("invoke_model", "ERROR")],
    upstream=[("converse", "UNSET"), ("converse_stream", "open"), ("invoke_model", "open")],
)
def span_of_cancelled_call_has_no_end_or_no_error(scene):
    async def main():
        async with client(scene.server) as runtime:
            for number, name in enumerate(("converse", "converse_stream", "invoke_model"), 1):
                scene.server.hang()
                request = INVOKE if name == "invoke_model" else CONVERSE
                await cancel_in_flight(scene.server, getattr(runtime, name)(**request), number)
            scene.server.release()

    asyncio.run(main())
    return [
        (
            span.name.removeprefix("bedrock."),
            "open" if span.end_time is None else span.status.status_code.name,
        )
        for span in scene.spans.started
    ]


@defect(mended=("ERROR", True), upstream=("UNSET", False))
def cancelled_read_leaves_its_context_attached(scene):
    async def main():
        async with client(scene.server) as runtime:
            scene.server.hang(after_events=2)
            events = aiter((await runtime.converse_stream(**CONVERSE))["stream"])
            assert [await anext(events), await anext(events)]
            before = context.get_current()
            asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
            with contextlib.suppress(asyncio.CancelledError):
                await anext(events)
            asyncio.current_task().uncancel()
            found = trace.get_current_span() is trace.INVALID_SPAN
            found = found and context.get_current() == before
            del events
            gc.collect()
            scene.server.release()
            return found

    clean = asyncio.run(main())
    assert scene.spans.open == []
    return scene.spans.span.status.status_code.name, clean


@defect(mended={"chat-42"}, upstream={"chat-42", "another"})
def spans_of_agent_get_the_session_of_the_reader(scene):
    from openinference.instrumentation import using_session

    async def main():
        async with client(scene.server, "bedrock-agent-runtime") as agents:
            with using_session("chat-42"):
                response = await agents.invoke_agent(**AGENT)
            with using_session("another"):
                assert [event async for event in response["completion"]]

    asyncio.run(main())
    assert len(scene.spans.started) > 1
    return {span.attributes["session.id"] for span in scene.spans.started}


@defect(
    late=True,
    mended=["bedrock.converse", "bedrock.converse", "bedrock_agent.invoke_agent"],
    upstream=[],
)
def client_created_before_is_not_traced(scene):
    async def main():
        async with (
            client(scene.server) as runtime,
            client(scene.server, "bedrock-agent-runtime") as agents,
        ):
            saved = runtime.converse
            scene.instrument()
            assert (await saved(**CONVERSE))["output"]
            assert (await runtime.converse(**CONVERSE))["output"]
            response = await agents.invoke_agent(**AGENT | {"enableTrace": False})
            assert [event async for event in response["completion"]]

    asyncio.run(main())
    return [span.name for span in scene.spans.started]
