"""How a decorated generator ends: sent to, thrown into, closed, forgotten."""

import contextvars
import gc

import pytest

from clew import current, using_session, using_user

session = using_session("chat-42")


def ids():
    said = current()
    return said.session_id, said.user_id


def here(step, *arguments):
    return step(*arguments)


def in_a_fresh_context(step, *arguments):
    return contextvars.Context().run(step, *arguments)


@pytest.fixture(params=[here, in_a_fresh_context])
def take(request):
    return request.param


def test_send_throw_and_return_value(take):
    @session
    def body():
        received = yield ids()
        try:
            yield received, *ids()
        except KeyError:
            yield "caught", *ids()
        return "done", *ids()

    generator = body()
    assert take(generator.send, None) == ("chat-42", None)
    assert take(generator.send, "sent") == ("sent", "chat-42", None)
    assert take(generator.throw, KeyError()) == ("caught", "chat-42", None)
    with pytest.raises(StopIteration) as stop:
        take(generator.send, None)
    assert stop.value.value == ("done", "chat-42", None)
    assert not current()


def test_yield_from_passes_everything_on():
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
def test_the_bodys_clean_up_has_the_session(take, end):
    seen = []

    @session
    def body():
        try:
            yield
        finally:
            seen.append(ids())

    generator = body()
    take(next, generator)
    if end == "close":
        take(generator.close)
    elif end == "throw":
        with pytest.raises(KeyError):
            take(generator.throw, KeyError())
    elif end == "del":
        del generator
    else:
        cycle = [generator]
        cycle.append(cycle)
        del generator, cycle
        gc.collect()
    assert seen == [("chat-42", None)]
    assert not current()


def test_an_exception_of_the_body_reaches_the_consumer(take):
    @session
    def body():
        with using_user("ada"):
            yield
            raise KeyError

    generator = body()
    take(next, generator)
    with pytest.raises(KeyError):
        take(next, generator)
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


def test_a_body_that_ignores_its_closing_is_told_so():
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
