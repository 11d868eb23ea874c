"""A decorated generator: its body has the session at each step, its consumer at none."""

import contextvars
from threading import Thread

import pytest
from opentelemetry import context as otel
from opentelemetry.trace import INVALID_SPAN, get_current_span

from clew import current, using_session, using_tags, using_user

session = using_session("chat-42")


def ids():
    said = current()
    return said.session_id, said.user_id


def directly(step, *arguments):
    return step(*arguments)


def in_a_fresh_context(step, *arguments):
    return contextvars.Context().run(step, *arguments)


def in_another_thread(step, *arguments):
    results = []

    def run():
        try:
            results.append((step(*arguments), None))
        except BaseException as error:  # Raised again by the caller
            results.append((None, error))

    thread = Thread(target=run)
    thread.start()
    thread.join()
    result, error = results[0]
    if error is not None:
        raise error
    return result


@pytest.fixture(params=[directly, in_a_fresh_context, in_another_thread])
def run_step(request):
    return request.param


@session
def three():
    for _ in range(3):
        yield ids()


def test_the_body_has_the_session_at_each_step_and_the_consumer_never(run_step):
    generator = three()
    for _ in range(3):
        assert run_step(next, generator) == ("chat-42", None)
        assert not current()
    with pytest.raises(StopIteration):
        run_step(next, generator)
    assert not current()


def test_the_consumers_own_block_stays_its_own(run_step):
    generator = three()
    with using_session("consumer", user_id="bob"):
        assert run_step(next, generator) == ("chat-42", None)
        assert ids() == ("consumer", "bob")


def test_blocks_in_the_body_last_across_its_steps_and_end_with_it(run_step):
    @session
    def body():
        yield ids()
        with using_user("ada"):
            yield ids()
            with using_user("bob"):
                yield ids()
            yield ids()
        yield ids()

    generator = body()
    seen = []
    for _ in range(5):
        seen.append(run_step(next, generator)[1])
        assert not current()
    assert seen == [None, "ada", "bob", "ada", None]


def test_a_block_in_the_body_does_not_affect_leaving_the_consumers_block():
    @session
    def body():
        with using_user("ada"):
            yield ids()
            yield ids()
        yield ids()

    generator = body()
    with using_session("consumer"):
        assert next(generator) == ("chat-42", "ada")
    assert not current()
    with using_tags(["consumer"]):
        assert next(generator) == ("chat-42", "ada")
        assert current().tags == ("consumer",)
    assert not current()
    assert next(generator) == ("chat-42", None)


def test_interleaved_generators_keep_their_own_sessions(run_step):
    @using_session("one")
    def one():
        with using_user("ada"):
            yield ids()
            yield ids()

    @using_session("two")
    def two():
        with using_user("bob"):
            yield ids()
            yield ids()

    first, second = one(), two()
    seen = [run_step(next, each) for each in (first, second, second, first)]
    assert seen == [("one", "ada"), ("two", "bob"), ("two", "bob"), ("one", "ada")]
    assert not current()


def test_a_generator_belongs_to_the_block_it_was_created_in(run_step):
    with using_user("ada"):
        generator = three()
    assert not current()
    with using_user("bob"):
        assert run_step(next, generator) == ("chat-42", "ada")


def test_a_span_open_in_the_body_is_the_parent_of_what_the_body_does_next(telemetry):
    @session
    def body():
        with telemetry.tracer.start_as_current_span("parent"):
            yield
            telemetry.tracer.start_span("child").end()
            yield

    generator = body()
    next(generator)
    assert get_current_span() is INVALID_SPAN
    telemetry.tracer.start_span("consumers").end()
    next(generator)
    generator.close()
    spans = {span.name: span for span in telemetry.spans()}
    assert spans["child"].parent.span_id == spans["parent"].context.span_id
    assert spans["consumers"].parent is None
    assert telemetry.named() == {
        "parent": {"session.id": "chat-42"},
        "child": {"session.id": "chat-42"},
        "consumers": {},
    }


def test_values_that_the_body_attaches_last_across_its_steps(run_step):
    @session
    def body():
        otel.attach(otel.set_value("own", 1))
        yield
        yield otel.get_value("own")

    generator = body()
    run_step(next, generator)
    assert otel.get_value("own") is None
    assert run_step(next, generator) == 1


def test_yield_from_another_decorated_generator(run_step):
    @using_user("ada")
    def inner():
        yield ids()
        yield ids()

    @session
    def outer():
        yield ids()
        yield from inner()
        yield ids()

    generator = outer()
    seen = [run_step(next, generator) for _ in range(4)]
    assert seen == [("chat-42", user) for user in (None, "ada", "ada", None)]
