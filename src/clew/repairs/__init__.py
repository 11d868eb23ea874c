"""Upstream defects that break a user or lose an id, mended: one small file each.

A repair is a loan. Its file is named after the framework, names the defect, holds the smallest
change that mends it, and has a contract test that fails on the day upstream mends it. It offers
one function, ``repair(instrumentor)``, which is called after the instrumentor was switched on and
returns what has to be called before it is switched off.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules
from typing import Any


def repairs_for(framework: str) -> Iterator[Callable[[Any], Callable[[], None]]]:
    """Yield the repairs for one framework: those in the files whose names begin with its name."""
    for module in iter_modules(__path__):
        if module.name.startswith(f"{framework}_"):
            yield import_module(f"{__name__}.{module.name}").repair


def expect(function: Callable[..., Any], *parameters: str) -> None:
    """Raise where upstream's *function* is no longer the one that a repair knows.

    Then the repair is not made, which is logged, and the framework is traced without it.
    """
    found = tuple(signature(function).parameters)
    if found != parameters:
        message = f"{function.__qualname__} takes {', '.join(found)}; the repair is out of date"
        raise NotImplementedError(message)
