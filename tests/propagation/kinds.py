"""One of each kind of callable, at module level, where pickle finds it. All return their ids."""

from functools import partial

from clew import current


def ids():
    said = current()
    return said.session_id, said.user_id


def function(*_arguments):
    return ids()


async def coroutine_function():
    return ids()


def generator_function():
    yield ids()
    yield ids()


async def async_generator_function():
    yield ids()
    yield ids()


class Asker:
    greeting = "hello"

    def __init__(self, *_arguments):
        self.found = ids()

    def method(self):
        return ids()

    def __call__(self):
        return ids()


class AsyncAsker:
    async def __call__(self):
        return ids()


class Numbers:
    """An iterator that is no generator, and goes on after an error."""

    def __init__(self):
        self.step = 0
        self.closed = False

    def __iter__(self):
        return self

    def __next__(self):
        self.step += 1
        if self.step == 2:
            raise KeyError
        if self.step == 4:
            raise StopIteration
        return ids()

    def close(self):
        self.closed = True


class AsyncNumbers:
    def __init__(self):
        self.step = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.step += 1
        if self.step == 3:
            raise StopAsyncIteration
        return ids()


def plain(result):
    return result


def awaited(coroutine):
    import asyncio

    return asyncio.run(coroutine)


async def _every(items):
    return tuple([item async for item in items])


def every(items):
    return awaited(_every(items))


CALLABLES = {
    "function": (function, plain),
    "partial": (partial(function, 1), plain),
    "coroutine function": (coroutine_function, awaited),
    "partial of a coroutine function": (partial(coroutine_function), awaited),
    "generator function": (generator_function, tuple),
    "asynchronous generator function": (async_generator_function, every),
    "bound method": (Asker().method, plain),
    "callable object": (Asker(), plain),
    "object with an asynchronous call": (AsyncAsker(), awaited),
    "class": (Asker, lambda made: made.found),
}
