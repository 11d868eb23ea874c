"""Lets OpenTelemetry's SDK configure itself, if the environment configures more than exporters.

The SDK configures metrics, logs, samplers and id generators as it does without clew. Clew sets up
only the export of spans. Loading the SDK's configurator takes longer than all of clew's own start,
so it is loaded only if a variable needs it.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk import environment_variables
from opentelemetry.sdk.trace import TracerProvider

from clew.core import otel_private
from clew.export import default_provider

logger = logging.getLogger("clew")

_FILE = getattr(environment_variables, "OTEL_CONFIG_FILE", None)
"""None in an older SDK, which has no such variable."""
_VARIABLES = (
    *([_FILE] if _FILE else []),
    "OTEL_METRICS_EXPORTER",
    "OTEL_LOGS_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_PYTHON_ID_GENERATOR",
    "OTEL_PYTHON_TRACER_CONFIGURATOR",
    "OTEL_PYTHON_METER_CONFIGURATOR",
    "OTEL_PYTHON_LOGGER_CONFIGURATOR",
    "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED",
)


def is_needed() -> bool:
    """Whether a variable is set that only the SDK's configurator uses."""
    texts = (os.environ.get(name, "").strip().lower() for name in _VARIABLES)
    return any(text not in {"", "none", "false"} for text in texts)


def configure(**options: Any) -> None:
    """Let the SDK configure itself, and set up clew's export for its tracer provider."""
    try:
        configurator = _configurator()
        if _FILE and os.environ.get(_FILE):
            configurator.configure(**options)
            return  # The file configures the export of spans too.
        with _environment(default_provider.variables_for_sdk()):
            configurator.configure(**options)
    except Exception as error:  # Other packages' plugins run in it
        logger.warning(
            "clew: OpenTelemetry's SDK is not configured as the OTEL_* variables say: %s: %s",
            type(error).__name__,
            error,
        )
    provider = default_provider.provider_of_the_application()
    if isinstance(provider, TracerProvider):
        default_provider.set_up_export(provider)
    else:
        default_provider.make_provider()


def _configurator() -> Any:
    of_the_sdk = otel_private.sdk_configurator()
    if of_the_sdk is None:
        message = "this release of the SDK has no configurator"
        raise NotImplementedError(message)
    # It has to be subclassed.
    return type("Configurator", (of_the_sdk,), {})()


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set *variables* inside the block: the SDK reads the settings for spans from nowhere else."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, text in before.items():
            os.environ.pop(name, None)
            if text is not None:
                os.environ[name] = text
