"""One of each kind of callable, which returns the current ids; at module level, for pickle."""

from functools import partial

from clew import current


def ids():
    identity = current()
    return identity.session_id, identity.user_id


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
    """An iterator that is not a generator, and continues after an error."""

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


def unchanged(result):
    return result


def run(coroutine):
    import asyncio

    return asyncio.run(coroutine)


async def _collect(items):
    return tuple([item async for item in items])


def collect(items):
    return run(_collect(items))


CALLABLES = {
    "function": (function, unchanged),
    "partial": (partial(function, 1), unchanged),
    "coroutine function": (coroutine_function, run),
    "partial of a coroutine function": (partial(coroutine_function), run),
    "generator function": (generator_function, tuple),
    "asynchronous generator function": (async_generator_function, collect),
    "bound method": (Asker().method, unchanged),
    "callable object": (Asker(), unchanged),
    "object with an asynchronous call": (AsyncAsker(), run),
    "class": (Asker, lambda instance: instance.found),
}
