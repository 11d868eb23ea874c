"""Checks the options that an application gives to a single instrumentor."""

from collections.abc import Iterable, Iterator, Mapping
from types import CodeType
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from clew.core.errors import ConfigurationError

_SET_BY_CLEW = {
    "tracer_provider": "instrument_all(tracer_provider=...)",
    "config": "instrument_all(config=...)",
    "skip_dep_check": "no argument; clew checks the versions itself",
    "raise_exception_on_conflict": "no argument; clew checks the versions itself",
}


def check_options(framework: str, options: Any, instrumentor: Any = None) -> None:
    """Raise where *options* cannot be passed to the instrumentor of *framework*.

    Which options it takes can be known only where its own code names them, as in OpenInference's.
    """
    where = f"options[{framework!r}]"
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        message = f"{where} must be a dict of option names and values, not {_kind(options)}"
        raise ConfigurationError(message)
    for name in options:
        if name in _SET_BY_CLEW:
            message = f"{where} must not hold {name!r}: use {_SET_BY_CLEW[name]}"
            raise ConfigurationError(message)
    if instrumentor is None or (known := _known_options(type(instrumentor))) is None:
        return
    for name in options:
        if name not in known:
            from difflib import get_close_matches  # Rarely needed

            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            kind = type(instrumentor).__name__
            message = f"{where}: {kind} takes no option {name!r}{hint}"
            raise ConfigurationError(message)


def _kind(options: Any) -> str:
    return "one with other keys" if isinstance(options, Mapping) else type(options).__name__


def _known_options(cls: type[BaseInstrumentor]) -> set[str] | None:
    """Return every name and string in the code that reads the options; None if it reads none.

    Code that does not even name the tracer provider passes all options on to other code.
    """
    function = getattr(cls._instrument, "__wrapped__", cls._instrument)
    code = getattr(function, "__code__", None)
    names = set(_names_in(code)) if code is not None else set()
    return names if "tracer_provider" in names else None


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_varnames
    yield from _strings(code.co_consts)


def _strings(constants: Iterable[Any]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, CodeType):
            yield from _names_in(constant)
