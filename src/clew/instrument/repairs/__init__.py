"""Upstream defects that break a user or lose an id, mended: one small file each.

Each repair is a file in the folder of its framework, named after the defect. It holds the smallest
change that mends the defect, and has a contract test that fails on the day upstream mends it. It
offers one function, ``repair(instrumentor)``, which is called after the instrumentor was switched
on and returns what has to be called before it is switched off.

``MADE_FOR`` in the file names the upstream versions that it was made for and tried on. With others
it is skipped: upstream may have mended the defect, or moved what the repair relies on. ``clew
doctor`` notes what is skipped.

Where the defect is in the switching on itself, the file also offers
``instrumenting(instrumentor)``: a context manager that is entered before ``instrument()`` is called
and left right after it, also when that raises.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from packaging.requirements import Requirement

from clew.core.containment import contain
from clew.core.frameworks import FRAMEWORKS

logger = logging.getLogger("clew")

_FOLDERS = {row.entry_point: row.name for row in FRAMEWORKS}


def repairs_for(entry_point: str) -> Iterator[Callable[[Any], Callable[[], None]]]:
    """Yield the repairs of one instrumentor: those in the folder of its framework."""
    for module in _modules(entry_point):
        yield module.repair


@contextmanager
def instrumenting(entry_point: str, instrumentor: Any) -> Iterator[None]:
    """Hold what the repairs need around ``instrument()``; if that raises, leave no half patches."""
    try:
        with ExitStack() as stack:
            for module in _modules(entry_point):
                if hasattr(module, "instrumenting"):
                    try:
                        stack.enter_context(module.instrumenting(instrumentor))
                    except Exception:  # Most applications do without it
                        contain(f"preparing {module.__name__}")
            yield
    except Exception:
        try:
            # The public ``uninstrument`` does nothing where ``instrument`` did not come to its end.
            instrumentor._uninstrument()  # What every instrumentor implements
        except Exception:
            logger.debug("%s could not be taken back", entry_point, exc_info=True)
        raise


def _modules(entry_point: str) -> Iterator[ModuleType]:
    for module in _all_modules(entry_point):
        if unmet(_made_for(module)) is None:
            yield module


def _all_modules(entry_point: str) -> Iterator[ModuleType]:
    folder = _FOLDERS.get(entry_point, entry_point)
    for module in iter_modules([f"{path}/{folder}" for path in __path__]):
        yield import_module(f"{__name__}.{folder}.{module.name}")


def skipped(entry_point: str) -> Iterator[tuple[str, str]]:
    """Yield each repair that is not made here, by its name, and which version is another one."""
    for module in _all_modules(entry_point):
        if reason := unmet(_made_for(module)):
            yield ".".join(module.__name__.split(".")[-2:]), reason


def _made_for(module: ModuleType) -> tuple[str, ...]:
    """Return the versions that a repair names; a test sees to it that each does."""
    return getattr(module, "MADE_FOR", ())


@cache
def unmet(requirements: tuple[str, ...]) -> str | None:
    """Return the first of *requirements* that an installed package breaks, with what was found.

    A package that is not installed breaks none: nothing is known of its version.
    """
    for requirement in map(Requirement, requirements):
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            return f"made for {requirement}, found {found}"
    return None


def expect(function: Callable[..., Any], *parameters: str) -> None:
    """Raise where upstream's *function* is no longer the one that a repair knows.

    Then the repair is not made, which is logged, and the framework is traced without it.
    """
    found = tuple(signature(function).parameters)
    if found != parameters:
        message = f"{function.__qualname__} takes {', '.join(found)}; the repair is out of date"
        raise NotImplementedError(message)
