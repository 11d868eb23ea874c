"""Each span has its own ids with a thousand tasks or sixty-four threads in a hundred sessions."""

import asyncio
import logging
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import trace

from clew import current, using_session
from tests.landing.calls import openai, run
from tests.landing.table import faults_of, of_an_instrumentor

SESSIONS, TASKS, THREADS, PER_THREAD = 100, 1_000, 64, 16

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _nothing_fails_to_detach(caplog):
    with caplog.at_level(logging.WARNING, logger="opentelemetry.context"):
        yield
    assert "Failed to detach context" not in caplog.text


def ids_of(number):
    return f"session-{number % SESSIONS}", f"user-{number % SESSIONS}"


def expected_ids(span):
    """Return the ids that a span should carry, from the number in its question."""
    text = span.attributes.get("question") or span.attributes["input.value"]
    return ids_of(int(text.partition("question ")[2].partition('"')[0]))


def count_checked(spans):
    """Check the ids of the spans that have a question; return how many there are."""
    with_question = [span for span in spans if "question" in str(dict(span.attributes))]
    assert faults_of(with_question, expected_ids) == []
    return len(with_question)


def test_a_thousand_tasks(server, started, report):
    pytest.importorskip("openai")
    tracer = trace.get_tracer("an-application")
    begin = len(started.spans)

    async def main():
        gate = asyncio.Semaphore(50)
        async with openai.async_client(server) as client:

            async def ask(number):
                session, user = ids_of(number)
                async with using_session(session, user_id=user), gate:
                    await asyncio.sleep(0)
                    with tracer.start_as_current_span(
                        "ask", attributes={"question": f"question {number}"}
                    ):
                        await client.chat.completions.create(
                            model="gpt-4o-mini",
                            messages=[{"role": "user", "content": f"question {number}"}],
                        )
                    assert current().session_id == session

            await asyncio.gather(*(ask(number) for number in range(TASKS)))

    run(main())
    made = started.spans[begin:]
    assert count_checked(made) == 2 * TASKS
    assert all(
        None not in (s.attributes.get("session.id"), s.attributes.get("user.id")) for s in made
    )
    assert sum(map(of_an_instrumentor, made)) == TASKS


def test_sixty_four_threads(server, started, report):
    pytest.importorskip("openai")
    tracer = trace.get_tracer("an-application")
    begin = len(started.spans)
    numbers = list(range(THREADS * PER_THREAD))
    random.shuffle(numbers)
    shared = [
        using_session(ids_of(number)[0], user_id=ids_of(number)[1]) for number in range(SESSIONS)
    ]

    with openai.client(server) as client:

        def ask(number):
            with (
                shared[number % SESSIONS],
                tracer.start_as_current_span("ask", attributes={"question": f"question {number}"}),
            ):
                client.chat.completions.create(
                    model="gpt-4o-mini",
                    messages=[{"role": "user", "content": f"question {number}"}],
                )
            assert not current()

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(ask, numbers))

    made = started.spans[begin:]
    assert count_checked(made) == 2 * len(numbers)
    assert sum(map(of_an_instrumentor, made)) == len(numbers)
