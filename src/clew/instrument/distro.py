"""What ``opentelemetry-instrument`` loads of clew: a distro, a configurator and two hooks.

OpenTelemetry uses the first distro that it finds, in the order in which the disk lists them. clew's
is not used where another one is installed and ``OTEL_PYTHON_DISTRO`` names none. The frameworks are
instrumented by a hook, `arm`, which runs under every distro, right after the SDK was configured and
before any instrumentor is loaded: the loader would silently skip LlamaIndex, because not every
package that its instrumentor could trace is installed.
"""

import logging
import os
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from opentelemetry.instrumentation import auto_instrumentation
from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.instrumentation.distro import BaseDistro

from clew.core.containment import contain
from clew.core.errors import ClewError
from clew.export import default_provider
from clew.instrument.api import instrument_automatically
from clew.instrument.discovery import instrumentors
from clew.patching.wrap import wrap_in_modules

logger = logging.getLogger("clew")

NAME = "clew"
DISTROS, CONFIGURATORS = "opentelemetry_distro", "opentelemetry_configurator"
_VARIABLES = {DISTROS: "OTEL_PYTHON_DISTRO", CONFIGURATORS: "OTEL_PYTHON_CONFIGURATOR"}


def others(group: str) -> list[metadata.EntryPoint]:
    """Return the distros, or the configurators, that are installed besides clew's."""
    return [point for point in metadata.entry_points(group=group) if point.name != NAME]


def _other_is_used(group: str) -> bool:
    """Whether another one is used: one is installed, and the variable does not choose clew's."""
    return not os.environ.get(_VARIABLES[group]) and bool(others(group))


class ClewDistro(BaseDistro):
    """Loads instrumentations as usual, except those of the frameworks that clew activates."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the distro; or None, which OpenTelemetry skips, where another one is used."""
        return None if _other_is_used(DISTROS) else super().__new__(cls, *args, **kwargs)

    def _configure(self, **_: Any) -> None:
        if os.environ.get(_VARIABLES[DISTROS]) == NAME:
            os.environ.setdefault(_VARIABLES[CONFIGURATORS], NAME)

    def load_instrumentor(self, entry_point: Any, **options: Any) -> None:
        """Load one instrumentor. If it fails, the others are loaded all the same."""
        if _is_activated_by_clew(entry_point):
            return
        try:
            super().load_instrumentor(entry_point, **options)
        except (DependencyConflictError, ImportError):
            raise  # OpenTelemetry handles these.
        except Exception as error:  # The instrumentor's own code
            logger.warning(
                "clew: the instrumentation %s raised %s: %s; the others are loaded",
                entry_point.name,
                type(error).__name__,
                error,
            )


class ClewConfigurator:
    """Configures the SDK as the OTEL_* variables say, on a tracer provider that clew makes."""

    def configure(self, **options: Any) -> None:
        """Configure the SDK. Never raises: OpenTelemetry would trace nothing at all then."""
        try:
            if _other_is_used(CONFIGURATORS):
                self._configure_by(others(CONFIGURATORS)[0], options)
            if default_provider.provider_of_the_application() is None:
                self._configure(options)
        except Exception:
            contain("configuring OpenTelemetry's SDK")

    @staticmethod
    def _configure_by(other: metadata.EntryPoint, options: dict[str, Any]) -> None:
        # OpenTelemetry will log that the other one was not loaded.
        logger.warning(
            "clew: the SDK is configured by the configurator %r, instead of clew's; "
            "OTEL_PYTHON_CONFIGURATOR=%s chooses clew's",
            other.name,
            NAME,
        )
        try:
            other.load()().configure(**options)
        except Exception as error:  # The configurator's own code
            logger.warning(
                "clew: the configurator %r raised %s: %s; clew's takes its place",
                other.name,
                type(error).__name__,
                error,
            )

    @staticmethod
    def _configure(options: dict[str, Any]) -> None:
        from clew.export import sdk_config  # Only where it is asked for

        version = options.get("auto_instrumentation_version")
        if sdk_config.is_needed():
            sdk_config.configure(**options)
        else:
            default_provider.make_provider({"telemetry.auto.version": version} if version else {})


def arm() -> None:
    """Call `instrument_all`, as the hook ``opentelemetry_pre_instrument``, under any distro."""
    try:
        wrap_in_modules({owner: {"load_instrumentor": _load_instrumentor} for owner in _distros()})
        instrument_automatically()
    except ClewError as error:
        logger.warning("clew: %s", error)
    except Exception:
        contain("starting under opentelemetry-instrument")


def follow_children() -> None:
    """Let Python processes that this one starts, such as a server's workers, be instrumented, too.

    The hook ``opentelemetry_post_instrument`` calls this. Newer releases of OpenTelemetry do so
    themselves; older ones remove their folder from PYTHONPATH for good.
    """
    folder = str(Path(auto_instrumentation.__file__).parent)
    path = [it for it in os.environ.get("PYTHONPATH", "").split(os.pathsep) if it]
    if folder not in path:
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *path])


def _distros(cls: type[Any] = BaseDistro) -> Iterator[type[Any]]:
    """Yield the other distro classes that are loaded and define ``load_instrumentor``."""
    if cls is not ClewDistro:
        if "load_instrumentor" in vars(cls):
            yield cls
        for each in cls.__subclasses__():
            yield from _distros(each)


def _load_instrumentor(
    wrapped: Callable[..., None], _distro: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Let another distro load an instrumentor, unless clew activates it."""
    point = args[0] if args else kwargs.get("entry_point")
    if not _is_activated_by_clew(point):
        wrapped(*args, **kwargs)


def _is_activated_by_clew(entry_point: Any) -> bool:
    # By its value: OpenInference, openllmetry and OpenTelemetry use the same names.
    return entry_point is not None and entry_point.value in instrumentors()
