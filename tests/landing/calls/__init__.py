"""How each framework is called, mode by mode: the rows and columns of the landing table.

A cell is one function ``(server) -> None`` that makes real calls through a real SDK against the
provider server. It does not know about tracing.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

from tests.support.providers import ProviderServer

Call = Callable[[ProviderServer], None]

MODES = (
    "sync",
    "async",
    "stream",
    "async_stream",
    "tools",
    "embeddings",
    "structured",
    "error_4xx",
    "error_5xx",
    "timeout",
    "retry",
    "fan_out",
)


class Cell(NamedTuple):
    """One way of calling one framework."""

    framework: str
    mode: str
    name: str
    call: Call
    needs: tuple[str, ...]

    def missing(self) -> str | None:
        """Return the first module that the cell needs and this environment lacks."""
        return next((module for module in self.needs if not installed(module)), None)


def installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


CELLS: list[Cell] = []

LOOP = asyncio.Runner()


def run(main: Coroutine[None, None, None]) -> None:
    """Run *main* on one loop for all cells: some SDKs keep a client, and it stays on its loop."""
    LOOP.run(main, context=copy_context())


def cell(framework: str, mode: str, *, needs: tuple[str, ...]) -> Callable[[Call], Call]:
    """Enter a function into the table."""
    assert mode in MODES, mode

    def enter(call: Call) -> Call:
        CELLS.append(Cell(framework, mode, call.__name__, call, needs))
        return call

    return enter


for _module in ("openai", "langchain", "llama_index", "bedrock", "mistralai", "dspy"):
    import_module(f"{__name__}.{_module}")
