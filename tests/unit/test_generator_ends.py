"""Decorated generators: send, throw, close, and garbage collection."""

import contextvars
import gc

import pytest

from clew import current, using_session, using_user

session = using_session("chat-42")


def ids():
    said = current()
    return said.session_id, said.user_id


def directly(step, *arguments):
    return step(*arguments)


def in_a_fresh_context(step, *arguments):
    return contextvars.Context().run(step, *arguments)


@pytest.fixture(params=[directly, in_a_fresh_context])
def run_step(request):
    return request.param


def test_send_throw_and_return_value(run_step):
    @session
    def body():
        received = yield ids()
        try:
            yield received, *ids()
        except KeyError:
            yield "caught", *ids()
        return "done", *ids()

    generator = body()
    assert run_step(generator.send, None) == ("chat-42", None)
    assert run_step(generator.send, "sent") == ("sent", "chat-42", None)
    assert run_step(generator.throw, KeyError()) == ("caught", "chat-42", None)
    with pytest.raises(StopIteration) as stop:
        run_step(generator.send, None)
    assert stop.value.value == ("done", "chat-42", None)
    assert not current()


def test_yield_from_passes_on_what_is_sent_thrown_and_returned():
    def outer():
        return (yield from body())

    @session
    def body():
        received = yield ids()
        return received, *ids()

    generator = outer()
    next(generator)
    with pytest.raises(StopIteration) as stop:
        generator.send("sent")
    assert stop.value.value == ("sent", "chat-42", None)


@pytest.mark.parametrize("end", ["close", "throw", "del", "collect"])
def test_the_bodys_clean_up_has_the_session(run_step, end):
    seen = []

    @session
    def body():
        try:
            yield
        finally:
            seen.append(ids())

    generator = body()
    run_step(next, generator)
    if end == "close":
        run_step(generator.close)
    elif end == "throw":
        with pytest.raises(KeyError):
            run_step(generator.throw, KeyError())
    elif end == "del":
        del generator
    else:
        cycle = [generator]
        cycle.append(cycle)
        del generator, cycle
        gc.collect()
    assert seen == [("chat-42", None)]
    assert not current()


def test_an_exception_of_the_body_reaches_the_consumer(run_step):
    @session
    def body():
        with using_user("ada"):
            yield
            raise KeyError

    generator = body()
    run_step(next, generator)
    with pytest.raises(KeyError):
        run_step(next, generator)
    assert not current()
    with pytest.raises(StopIteration):
        next(generator)


def test_closing_before_the_first_step_runs_nothing():
    ran = []

    @session
    def body():
        ran.append(1)
        yield

    generator = body()
    generator.close()
    with pytest.raises(StopIteration):
        next(generator)
    assert ran == []


def test_a_body_that_ignores_close_raises_pythons_error():
    @session
    def body():
        try:
            yield
        except GeneratorExit:
            yield

    generator = body()
    next(generator)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        generator.close()
    assert not current()


def test_the_body_runs_only_when_asked():
    ran = []

    @session
    def body():
        ran.append(1)
        yield

    generator = body()
    assert ran == []
    next(generator)
    assert ran == [1]
