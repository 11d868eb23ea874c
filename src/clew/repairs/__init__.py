"""Upstream defects that break a user or lose an id, mended: one small file each.

A repair is a loan. Its file is named after the framework, names the defect, holds the smallest
change that mends it, and has a contract test that fails on the day upstream mends it. It offers
one function, ``repair(instrumentor)``, which is called after the instrumentor was switched on and
returns what has to be called before it is switched off.

Where the defect is in the switching on itself, the file also offers
``instrumenting(instrumentor)``: a context manager that is entered before ``instrument()`` is called
and left right after it, also when that raises.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from clew.boundary import contain

logger = logging.getLogger("clew")


def repairs_for(framework: str) -> Iterator[Callable[[Any], Callable[[], None]]]:
    """Yield the repairs for one framework: those in the files whose names begin with its name."""
    for module in _modules(framework):
        yield module.repair


@contextmanager
def instrumenting(framework: str, instrumentor: Any) -> Iterator[None]:
    """Hold what the repairs need around ``instrument()``; if that raises, leave no half patches."""
    try:
        with ExitStack() as stack:
            for module in _modules(framework):
                if hasattr(module, "instrumenting"):
                    try:
                        stack.enter_context(module.instrumenting(instrumentor))
                    except Exception:  # noqa: BLE001 - most applications do without it
                        contain(f"preparing {module.__name__}")
            yield
    except Exception:
        try:
            # The public ``uninstrument`` does nothing where ``instrument`` did not come to its end.
            instrumentor._uninstrument()  # noqa: SLF001 - what every instrumentor implements
        except Exception:
            logger.debug("%s could not be taken back", framework, exc_info=True)
        raise


def _modules(framework: str) -> Iterator[ModuleType]:
    for module in iter_modules(__path__):
        if module.name.startswith(f"{framework}_"):
            yield import_module(f"{__name__}.{module.name}")


def expect(function: Callable[..., Any], *parameters: str) -> None:
    """Raise where upstream's *function* is no longer the one that a repair knows.

    Then the repair is not made, which is logged, and the framework is traced without it.
    """
    found = tuple(signature(function).parameters)
    if found != parameters:
        message = f"{function.__qualname__} takes {', '.join(found)}; the repair is out of date"
        raise NotImplementedError(message)
