"""ClewDistro and ClewConfigurator, for ``opentelemetry-instrument``, alone or beside others.

OpenTelemetry takes the first distro that it finds, in whatever order the disk has them. clew's
stands back where another one is installed and ``OTEL_PYTHON_DISTRO`` names none. The frameworks are
armed in a hook of their own, `arm`, which runs under every distro, right after the SDK was
configured and before any instrumentor is loaded: the loader would pass over LlamaIndex without a
word, because not every package is there that its instrumentor could trace.
"""

import logging
import os
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import wrapt
from opentelemetry.instrumentation import auto_instrumentation
from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.instrumentation.distro import BaseDistro

from clew.core.containment import contain
from clew.core.errors import ClewError
from clew.export import default_provider
from clew.instrument.api import instrument_unasked
from clew.instrument.discovery import instrumentors

logger = logging.getLogger("clew")

NAME = "clew"
DISTROS, CONFIGURATORS = "opentelemetry_distro", "opentelemetry_configurator"
_CHOICE = {DISTROS: "OTEL_PYTHON_DISTRO", CONFIGURATORS: "OTEL_PYTHON_CONFIGURATOR"}


def rivals(group: str) -> list[metadata.EntryPoint]:
    """Return the distros, or the configurators, that are installed besides clew's."""
    return [point for point in metadata.entry_points(group=group) if point.name != NAME]


def _stands_back(group: str) -> bool:
    """Whether another's is to be used: there is one, and nobody has chosen clew's."""
    return not os.environ.get(_CHOICE[group]) and bool(rivals(group))


class ClewDistro(BaseDistro):
    """Loads other instrumentations as ever, and leaves to clew what clew arms."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Make the distro; or nothing, which OpenTelemetry passes over, to stand back."""
        return None if _stands_back(DISTROS) else super().__new__(cls, *arguments, **named)

    def _configure(self, **_: Any) -> None:
        if os.environ.get(_CHOICE[DISTROS]) == NAME:
            os.environ.setdefault(_CHOICE[CONFIGURATORS], NAME)

    def load_instrumentor(self, entry_point: Any, **options: Any) -> None:
        """Load one instrumentor. What goes wrong in it keeps no other from being loaded."""
        if _is_ours(entry_point):
            return
        try:
            super().load_instrumentor(entry_point, **options)
        except (DependencyConflictError, ImportError):
            raise  # OpenTelemetry knows what to do.
        except Exception as error:  # The instrumentor's own code
            logger.warning(
                "clew: the instrumentation %s raised %s: %s; the others go on",
                entry_point.name,
                type(error).__name__,
                error,
            )


class ClewConfigurator:
    """Configures the SDK as the OTEL_* variables say, on a tracer provider that clew makes."""

    def configure(self, **options: Any) -> None:
        """Configure the SDK. Never raises: OpenTelemetry would trace nothing at all then."""
        try:
            if _stands_back(CONFIGURATORS):
                self._configure_by(rivals(CONFIGURATORS)[0], options)
            if default_provider.provider_of_the_application() is None:
                self._configure(options)
        except Exception:
            contain("configuring OpenTelemetry's SDK")

    @staticmethod
    def _configure_by(rival: metadata.EntryPoint, options: dict[str, Any]) -> None:
        # OpenTelemetry goes on to say that the other was not loaded.
        logger.warning(
            "clew: the SDK is configured by the configurator %r, for which clew's stands back; "
            "OTEL_PYTHON_CONFIGURATOR=%s chooses clew's",
            rival.name,
            NAME,
        )
        try:
            rival.load()().configure(**options)
        except Exception as error:  # The configurator's own code
            logger.warning(
                "clew: the configurator %r raised %s: %s; clew's takes its place",
                rival.name,
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
    """Arm the frameworks. The hook ``opentelemetry_pre_instrument`` calls this, in any distro."""
    try:
        for owner in _distros():
            wrapt.wrap_function_wrapper(owner, "load_instrumentor", _loading)
        instrument_unasked()
    except ClewError as error:
        logger.warning("clew: %s", error)
    except Exception:
        contain("starting under opentelemetry-instrument")


def follow_children() -> None:
    """Let the Pythons that this one starts, as servers start their workers, be instrumented too.

    The hook ``opentelemetry_post_instrument`` calls this. Newer releases of OpenTelemetry do so
    themselves; older ones take their folder off the path for good.
    """
    folder = str(Path(auto_instrumentation.__file__).parent)
    path = [it for it in os.environ.get("PYTHONPATH", "").split(os.pathsep) if it]
    if folder not in path:
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *path])


def _distros(cls: type[Any] = BaseDistro) -> Iterator[type[Any]]:
    """Yield the distros of others that are loaded, as far as they load instrumentors themselves."""
    if cls is not ClewDistro:
        if "load_instrumentor" in vars(cls):
            yield cls
        for each in cls.__subclasses__():
            yield from _distros(each)


def _loading(
    load: Callable[..., None], _distro: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Leave to clew what clew arms, where another distro loads the instrumentors."""
    point = arguments[0] if arguments else named.get("entry_point")
    if not _is_ours(point):
        load(*arguments, **named)


def _is_ours(entry_point: Any) -> bool:
    # By its value: OpenInference, openllmetry and OpenTelemetry use the same names.
    return entry_point is not None and entry_point.value in instrumentors()
