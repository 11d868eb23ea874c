"""OpenTelemetry's own configuration of its SDK, where the environment asks for more than traces.

Metrics, logs, samplers and id generators of other packages are configured by the SDK as ever. Only
where the spans go is clew's part. Loading all this costs more than all of clew's own start, so it
is done only where a variable asks for it.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk import environment_variables
from opentelemetry.sdk.trace import TracerProvider

from clew.export import default_provider

logger = logging.getLogger("clew")

_FILE = getattr(environment_variables, "OTEL_CONFIG_FILE", None)
"""None in an older SDK, which takes no such file."""
_ASKING = (
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


def is_asked_for() -> bool:
    """Whether the environment asks for anything that only the SDK's configurator does."""
    said = (os.environ.get(name, "").strip().lower() for name in _ASKING)
    return any(text not in {"", "none", "false"} for text in said)


def configure(**options: Any) -> None:
    """Let the SDK configure itself; the spans of its tracer provider go where clew sends them."""
    from opentelemetry.sdk._configuration import _OTelSDKConfigurator

    class Configurator(_OTelSDKConfigurator):
        """The SDK's, which wants to be subclassed."""

    try:
        if _FILE and os.environ.get(_FILE):
            Configurator().configure(**options)
            return  # The file says also where spans go.
        with _as_the_environment(default_provider.as_variables()):
            Configurator().configure(**options)
    except Exception as error:  # Whatever others installed
        logger.warning(
            "clew: OpenTelemetry's SDK is not configured as the OTEL_* variables say: %s: %s",
            type(error).__name__,
            error,
        )
    provider = default_provider.provider_of_the_application()
    if isinstance(provider, TracerProvider):
        default_provider.deliver(provider)
    else:
        default_provider.make_provider()


@contextmanager
def _as_the_environment(variables: dict[str, str]) -> Iterator[None]:
    """Set *variables* for a moment: the SDK takes what it makes of spans from nowhere else."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, text in before.items():
            os.environ.pop(name, None)
            if text is not None:
                os.environ[name] = text
