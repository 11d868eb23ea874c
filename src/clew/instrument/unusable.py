"""What `instrument_all` does where a wrong variable keeps OpenTelemetry itself from starting.

OpenTelemetry reads some OTEL_* variables while it is imported, and others when it makes the first
tracer. It raises over a value that it cannot use. The application goes on, and is not traced.
"""

import logging
import os
import re
from collections.abc import Callable, Collection, Iterable
from traceback import walk_tb
from typing import Any

from clew.core import settings
from clew.core.errors import ActivationError, ConfigurationError
from clew.core.frameworks import FRAMEWORKS
from clew.instrument.report import Activation, Report, State

logger = logging.getLogger("clew")


def is_opentelemetrys(error: BaseException) -> bool:
    """Tell whether OpenTelemetry has raised *error*, as it does over a variable's value."""
    if not isinstance(error, ValueError | StopIteration):
        return False
    names = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    return bool(names) and names[-1].partition(".")[0] == "opentelemetry"


def why_unusable(error: BaseException) -> str:
    """Return why OpenTelemetry cannot be used, with the variable that *error* is about."""
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    values = " and ".join(f"{it}={os.environ.get(it)}" for it in _variables(str(error)))
    return f"OpenTelemetry cannot start{values and ' with '}{values} ({said}); see clew doctor"


def _variables(message: str) -> Iterable[str]:
    """Return the variables that OpenTelemetry's message is about, where it does not name them."""
    if "OTEL_" in message:
        return []
    if message.startswith("Propagator"):
        return ["OTEL_PROPAGATORS"]
    return sorted(it for it in os.environ if re.fullmatch("OTEL_PYTHON_[A-Z]+_PROVIDER", it))


def not_started(error: Exception, only: Collection[str] | None, *, strict: bool) -> Report:
    """Say why nothing is traced: in a log line and a report; in an error, where it was asked for.

    Raises:
        ActivationError: The frameworks were named, or *strict* is true.
    """
    reason = why_unusable(error)
    if only or strict:
        raise ActivationError(reason) from error
    from clew.context.misuse import note_ids_are_used  # A command's help needs nothing of it

    note_ids_are_used()  # Or else a block would ask for the call that was just made.
    logger.warning("clew: nothing is traced: %s", reason)
    failed = {it.name: Activation(it, State.FAILED, reason, error) for it in FRAMEWORKS}
    return Report(lambda: failed)


def stand_in(name: str, error: Exception) -> Callable[..., Any]:
    """Return what takes the place of clew's function *name*, whose import has raised *error*."""
    if not is_opentelemetrys(error):
        raise error

    def instrument_all(
        *, only: Collection[str] | None = None, strict: bool | None = None, **_: Any
    ) -> Report:
        only = settings.ONLY.read() if only is None else only
        strict = settings.STRICT.read() if strict is None else strict
        return not_started(error, only, strict=strict)

    def uninstrument_all() -> None:
        pass

    for each in (instrument_all, uninstrument_all):
        if each.__name__ == name:
            return each
    raise ConfigurationError(why_unusable(error)) from error
