"""How each framework is called: a module each, with functions that are given a question.

The name of a call begins with its kind: ``call`` returns a text; ``stream`` returns an iterator;
``acall`` returns a coroutine of the framework's, ``own`` one of the application's, which has to be
awaited inside the block; ``astream`` an asynchronous iterator, or a coroutine of one. It does not
know about tracing.
"""

import inspect
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

Call = Callable[["Provider", str], Any]

CALLS: dict[str, dict[str, Call]] = {}
"""The calls of each framework, by their names."""

FRAMEWORKS = ("openai", "langchain", "llama_index", "bedrock", "mistralai", "dspy")
TIMEOUT = 60.0
"""Seconds after which a client gives up. Nothing waits so long, except where something is wrong."""


class Provider:
    """The addresses of the provider, and the clients that a lane has made."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.openai_url = f"http://127.0.0.1:{port}/v1"
        self.mistral_url = self.bedrock_url = f"http://127.0.0.1:{port}"
        self._clients: dict[object, Any] = {}
        self._lock = threading.RLock()

    def kept(self, make: Callable[["Provider"], Any]) -> Any:
        """Return the client that *make* makes, always the same one."""
        with self._lock:
            if make not in self._clients:
                self._clients[make] = make(self)
            return self._clients[make]

    def close(self) -> None:
        """Close the clients that can be closed, and let go of all."""
        for client in self._clients.values():
            close = getattr(client, "close", None)
            if inspect.isroutine(close) and not inspect.iscoroutinefunction(close):
                close()
        self._clients.clear()

    async def aclose(self) -> None:
        """Close the clients that are closed by awaiting something."""
        for client in self._clients.values():
            if inspect.iscoroutinefunction(close := getattr(client, "close", None)):
                await close()


def call(framework: str, kind: str) -> Callable[[Call], Call]:
    """Enter a function into the table."""

    def enter(function: Call) -> Call:
        CALLS.setdefault(framework, {})[f"{kind} {function.__name__}"] = function
        return function

    return enter


def load(frameworks: tuple[str, ...] = FRAMEWORKS) -> None:
    """Import the calls of *frameworks*, and so the frameworks themselves."""
    for name in frameworks:
        import_module(f"{__name__}.{name}")
