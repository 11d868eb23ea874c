"""Repairs of upstream defects that break an application or lose an id: one small file each.

Each repair is a file in the folder of its framework, named after the defect. It makes the smallest
change that mends the defect, and has a contract test that fails once upstream has mended it. Its
one function, ``repair(instrumentor)``, is called after the instrumentor was activated, and returns
a function that is called before the instrumentor is deactivated and undoes the repair.

``MADE_FOR`` in the file names the upstream versions that it was made for and tested with. With
other versions it is skipped: upstream may have mended the defect, or changed what the repair relies
on. ``clew doctor`` lists the skipped repairs.

Where ``instrument()`` itself has the defect, the file also has ``around_instrument(instrumentor)``:
a context manager that is entered before ``instrument()`` is called and left right after it, also
when that raises.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from packaging.requirements import Requirement

from clew.core.containment import contain
from clew.core.frameworks import FRAMEWORKS
from clew.core.installed_version import version_of

logger = logging.getLogger("clew")

_FOLDERS = {framework.entry_point: framework.name for framework in FRAMEWORKS}


def repairs_for(entry_point: str) -> Iterator[Callable[[Any], Callable[[], None]]]:
    """Yield the repairs of one instrumentor that fit the installed versions."""
    for module in _matching_modules(entry_point):
        yield module.repair


@contextmanager
def around_instrument(entry_point: str, instrumentor: Any) -> Iterator[None]:
    """Enter the repairs' context managers; if ``instrument()`` raises, undo what it patched."""
    try:
        with ExitStack() as stack:
            for module in _matching_modules(entry_point):
                if hasattr(module, "around_instrument"):
                    try:
                        stack.enter_context(module.around_instrument(instrumentor))
                    except Exception:  # Most applications do not need it
                        contain(f"preparing {module.__name__}")
            yield
    except BaseException:
        try:
            # The public ``uninstrument`` does nothing if ``instrument`` did not complete.
            instrumentor._uninstrument()  # Every instrumentor has this method
        except Exception:
            logger.debug("%s could not be uninstrumented", entry_point, exc_info=True)
        raise


def _matching_modules(entry_point: str) -> Iterator[ModuleType]:
    for module in _all_modules(entry_point):
        if unmet_requirement(_made_for(module)) is None:
            yield module


def _all_modules(entry_point: str) -> Iterator[ModuleType]:
    folder = _FOLDERS.get(entry_point, entry_point)
    for module in iter_modules([f"{path}/{folder}" for path in __path__]):
        yield import_module(f"{__name__}.{folder}.{module.name}")


def skipped_repairs(entry_point: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each repair that is skipped, and the version that it does not fit."""
    for module in _all_modules(entry_point):
        if reason := unmet_requirement(_made_for(module)):
            yield ".".join(module.__name__.split(".")[-2:]), reason


def _made_for(module: ModuleType) -> tuple[str, ...]:
    """Return the versions that a repair names; a test checks that each names some."""
    return getattr(module, "MADE_FOR", ())


@cache
def unmet_requirement(requirements: tuple[str, ...]) -> str | None:
    """Return which of *requirements* an installed package does not meet, and its version.

    A package that is not installed meets every requirement, as its version is not known.
    """
    for requirement in map(Requirement, requirements):
        found = version_of(requirement.name)
        if found and not requirement.specifier.contains(found, prereleases=True):
            return f"made for {requirement}, found {found}"
    return None


def check_parameters(function: Callable[..., Any], *parameters: str) -> None:
    """Raise if upstream's *function* does not have these *parameters*.

    The repair is then not made, which is logged, and the framework is traced without it.
    """
    found = tuple(signature(function).parameters)
    if found != parameters:
        message = f"{function.__qualname__} takes {', '.join(found)}; the repair is out of date"
        raise NotImplementedError(message)
