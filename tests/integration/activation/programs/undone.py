"""Compares what is in the process before `instrument_all` and after `uninstrument_all`.

It is given names of frameworks. It calls each of them once, so that all is imported that such a
call needs. Then it looks at the objects that hang on modules and classes, instruments all, makes
the same calls, traced, undoes it, and looks at the same objects again. It writes one JSON object.
"""

import asyncio
import atexit
import concurrent.futures.process
import concurrent.futures.thread
import contextlib
import contextvars
import gc
import json
import logging
import multiprocessing.pool
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import CodeType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from opentelemetry import _logs, context, metrics, propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clew import instrument_all, uninstrument_all, using_session
from clew.core.frameworks import FRAMEWORKS
from tests.landing.calls import CELLS, LOOP
from tests.support.providers import ProviderServer

CALLS = {
    "openai": "chat",
    "langchain": "invoke",
    "llamaindex": "chat",
    "bedrock": "converse",
    "mistral": "chat",
    "dspy": "call",
}
PATCHED_TOO = (asyncio, concurrent.futures.process, concurrent.futures.thread, multiprocessing.pool)
"""Modules of Python in which clew, or what it switches on, wraps functions; imported beforehand."""
OF_PACKAGES = (
    *("openai", "langchain", "langchain_core", "langchain_openai", "langgraph", "langsmith"),
    *("llama_index", "llama_index_instrumentation", "workflows", "boto3", "botocore", "mistralai"),
    *("dspy", "litellm", "httpx", "httpcore", "requests", "urllib3", "opentelemetry", "wrapt"),
)
"""What the frameworks and their SDKs consist of. Of Python, all is looked at."""
NOT_LOOKED_INTO = {"gc", "linecache", "re", "tracemalloc"}
"""Modules of Python that keep caches which every call changes."""
SIMPLE = (str, int, float, bytes, NoneType)
DEPTH = 4
"""How many objects may lie between a module, or a class, and one that is looked into."""

Parts = dict[str, Any]


def belongs(module: object) -> bool:
    root = module.partition(".")[0] if isinstance(module, str) else ""
    return root in OF_PACKAGES or (root in sys.stdlib_module_names and root not in NOT_LOOKED_INTO)


def classes() -> Iterator[type]:
    """Every class of the process, also those that no module names."""
    seen: set[type] = set()
    waiting: list[type] = [object]
    while waiting:
        one = waiting.pop()
        if one in seen or one is type:
            continue
        seen.add(one)
        if belongs(one.__module__):
            yield one
        waiting += type.__subclasses__(one)


def parts(one: Any) -> Iterator[tuple[str, Any]]:
    """What an object consists of, by names that are the same the next time."""
    if isinstance(one, ModuleType):
        yield from list(vars(one).items())
    elif isinstance(one, type):
        yield from list(type.__getattribute__(one, "__dict__").items())
        yield "__bases__", one.__bases__
    elif isinstance(one, FunctionType):
        yield from parts_of_function(one)
    else:
        yield from parts_of_container(one)
        own = getattr_of_object(one)
        if isinstance(own, dict):
            yield from list(own.items())


def parts_of_function(one: FunctionType) -> Iterator[tuple[str, Any]]:
    yield from vars(one).items()
    yield from (("__code__", one.__code__), ("__defaults__", one.__defaults__))
    yield "__kwdefaults__", one.__kwdefaults__
    for name, cell in zip(one.__code__.co_freevars, one.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # An empty cell.
            yield f"<{name}>", cell.cell_contents


def parts_of_container(one: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(one, staticmethod | classmethod | MethodType):
        yield "__func__", one.__func__
    elif isinstance(one, property):
        yield from (("fget", one.fget), ("fset", one.fset), ("fdel", one.fdel))
    elif isinstance(one, dict):
        for key, value in list(one.items()):
            yield f"[{key!r}]" if isinstance(key, str | int) else f"[{type(key).__name__}]", value
    elif isinstance(one, list | tuple | deque):
        for index, value in enumerate(one):  # One that is inserted moves the others.
            yield f"[{index if isinstance(value, SIMPLE) else id(value)}]", value
    elif isinstance(one, set | frozenset | WeakSet | WeakKeyDictionary | WeakValueDictionary):
        yield "len", len(one)


def getattr_of_object(one: Any) -> Any:
    try:
        return object.__getattribute__(one, "__dict__")
    except AttributeError:
        return None


class Looked:
    """The parts of every object that was found, by the object."""

    def __init__(self) -> None:
        self.objects: dict[int, tuple[str, Any, Parts]] = {}
        waiting: deque[tuple[str, Any, int]] = deque()
        for name, module in list(sys.modules.items()):
            if belongs(name):
                waiting.append((name, module, 0))
        for cls in classes():
            waiting.append((f"{cls.__module__}:{cls.__qualname__}", cls, 0))
        while waiting:
            place, one, depth = waiting.popleft()
            if id(one) in self.objects:
                continue
            its = self.parts_of(one)
            self.objects[id(one)] = (place, one, its)
            if depth == DEPTH:
                continue
            for name, value in its.items():
                if not isinstance(value, NOT_OBJECTS) and belongs(type(value).__module__):
                    waiting.append((f"{place}.{name}", value, depth + 1))
        self.globals = globals_of_the_process()

    @staticmethod
    def parts_of(one: Any) -> Parts:
        return {} if one is sys.modules else dict(parts(one))

    def differences(self) -> dict[str, str]:
        """Return, by its place, each part that differs now."""
        differing = dict(self._between("", self.globals, globals_of_the_process()))
        for place, one, before in self.objects.values():
            differing |= self._between(f"{place}.", before, self.parts_of(one))
        return differing

    @staticmethod
    def _between(place: str, before: Parts, after: Parts) -> Iterator[tuple[str, str]]:
        for name in before.keys() | after.keys():
            old, new = before.get(name, ...), after.get(name, ...)
            if not is_same(old, new):
                yield f"{place}{name}", change(old, new)


NOT_OBJECTS = (type, ModuleType, CodeType, Looked, *SIMPLE)


def globals_of_the_process() -> Parts:
    """What no module shows in its variables."""
    found: Parts = {
        "atexit": atexit._ncallbacks(),
        "settrace": sys.gettrace(),
        "setprofile": sys.getprofile(),
        "asyncgen hooks": tuple(sys.get_asyncgen_hooks()),
        "event loop policy": asyncio.get_event_loop_policy(),
        "environment": sorted(os.environ.items()),
        "log record factory": logging.getLogRecordFactory(),
        "logger class": logging.getLoggerClass(),
        "gc callbacks": list(map(id, gc.callbacks)),
        "tracer provider": trace.get_tracer_provider(),
        "meter provider": metrics.get_meter_provider(),
        "logger provider": _logs.get_logger_provider(),
        "propagator": propagate.get_global_textmap(),
        "runtime context": context._RUNTIME_CONTEXT,
        "current context": sorted(context.get_current()),
        "fields": sorted(propagate.get_global_textmap().fields),
    }
    found |= {f"context {it.name}": value for it, value in contextvars.copy_context().items()}
    found |= {f"signal {it}": signal.getsignal(it) for it in signal.valid_signals()}
    # The server has a thread for each connection.
    threads = [it for it in threading.enumerate() if "process_request_thread" not in it.name]
    found |= {f"thread {it.name}": it for it in threads}
    for name, logger in [("root", logging.root), *logging.root.manager.loggerDict.items()]:
        if isinstance(logger, logging.Logger) and belongs(name):
            found[f"logger {name}"] = (
                logger.level,
                logger.propagate,
                logger.disabled,
                [*map(id, logger.handlers), *map(id, logger.filters)],
            )
    return found


def is_same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    return (
        type(one) is type(other)
        and isinstance(one, int | str | float | tuple | list)
        and (same_items(one, other) if isinstance(one, tuple | list) else one == other)
    )


def same_items(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(map(is_same, one, other))


def change(old: Any, new: Any) -> str:
    if isinstance(old, tuple | list) and isinstance(new, tuple | list):
        gone = [short(it) for it in old if not any(is_same(it, other) for other in new)]
        come = [short(it) for it in new if not any(is_same(it, other) for other in old)]
        return f"{', '.join(gone) or 'nothing'} -> {', '.join(come) or 'nothing'}"
    return f"{short(old)} -> {short(new)}"


def short(one: Any) -> str:
    if one is ...:
        return "nothing"
    text = repr(one) if isinstance(one, Mapping | int | str | tuple | list) else ""
    return f"{type(one).__module__}.{type(one).__qualname__} {text[:200]}".strip()


def main(frameworks: list[str]) -> None:
    calls = [
        next(it.call for it in CELLS if it.framework == name and it.name == CALLS[name])
        for name in frameworks
    ]
    for name in frameworks:
        (framework,) = (it for it in FRAMEWORKS if it.name == name)
        import_module(framework.instrumentor.partition(":")[0])
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    with ProviderServer() as server, LOOP:
        for call in calls:
            call(server)
        before = Looked()
        instrument_all()
        with using_session("chat-42"):
            for call in calls:
                call(server)
        traced = exporter.get_finished_spans()
        uninstrument_all()
        exporter.clear()
        differences = before.differences()
        for call in calls:
            call(server)
    result = {
        "traced": len(traced),
        "with session": sum("session.id" in it.attributes for it in traced),
        "traced afterwards": len(exporter.get_finished_spans()),
        "objects": len(before.objects),
        "differences": differences,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
