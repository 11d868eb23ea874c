"""Adds a processor to any tracer provider, and warns of a provider that is set too late."""

import logging
import sys
from typing import Any

from opentelemetry import trace

from clew.core.otel_private import SET_TRACER_PROVIDER, span_processor_of
from clew.patching.undo import UndoStack
from clew.patching.wrap import Patches

logger = logging.getLogger("clew")


def add_processor(provider: Any, processor: Any) -> None:
    """Add a span processor to *provider*, beside those that it has.

    A subclass may shut down and remove its own processor when another one is added, as Phoenix's
    does. Restoring it afterwards would be too late, so the SDK's method is called instead.
    """
    from opentelemetry.sdk.trace import TracerProvider  # Heavy; `import clew` is not

    if isinstance(provider, TracerProvider) and _uses_its_own_processors(provider):
        TracerProvider.add_span_processor(provider, processor)
    else:
        provider.add_span_processor(processor)


def _uses_its_own_processors(provider: Any) -> bool:
    """Tell whether the spans of *provider* go to the processors that the SDK's method adds to.

    They do not if a subclass delegates everything to another provider.
    """
    used = getattr(provider.get_tracer("clew"), "span_processor", None)
    return used is not None and used is span_processor_of(provider)


class _Global:
    """The tracer provider that clew made and set as the global one, until it is replaced."""

    made: Any = None

    @classmethod
    def forget(cls) -> None:
        """Check no longer whether it is replaced."""
        cls.made = None


_BETWEEN = frozenset({"clew", "opentelemetry", "wrapt"})
"""Packages that are called between the module that sets a provider and this one."""
_WHAT_TO_DO = (
    "set it up before instrument_all(), or send clew's spans to its backend with "
    "OTEL_EXPORTER_OTLP_ENDPOINT"
)


def warn_of_later_provider(made: Any, undo: UndoStack) -> None:
    """Warn when the application sets a tracer provider although *made* is the global one.

    OpenTelemetry ignores the later one, and its warning does not tell what to do.
    """

    def after_set(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = wrapped(*args, **kwargs)
        later = args[0] if args else kwargs.get("tracer_provider")
        if later is not made and trace.get_tracer_provider() is made:
            logger.warning(
                "clew: %s was set as the tracer provider, by %s, after instrument_all() had made "
                "one, so OpenTelemetry ignores it and its exporters get no spans; %s",
                _name_of(later),
                _caller(),
                _WHAT_TO_DO,
            )
        return result

    if not hasattr(trace, SET_TRACER_PROVIDER):
        return
    patches = Patches(doing="warning of later tracer providers")
    undo.add(patches.undo)
    undo.add(_Global.forget)
    _Global.made = made
    patches.wrap_now([(trace, SET_TRACER_PROVIDER, after_set)])


def warn_of_replaced_provider() -> None:
    """Warn, once, if another tracer provider has replaced the one that clew made.

    MLflow replaces it without calling OpenTelemetry's function, so no wrapper notices, and each
    span of an instrumentor checks. The span still goes to clew's provider: nothing tells whether
    the replacement is permanent.
    """
    if _Global.made is None:
        return
    current = trace.get_tracer_provider()
    if current is _Global.made:
        return
    _Global.made = None
    logger.warning(
        "clew: %s took the place of the tracer provider that instrument_all() had made, so its "
        "exporters get no spans of what clew instruments; %s",
        _name_of(current),
        _WHAT_TO_DO,
    )


def _name_of(provider: Any) -> str:
    return f"{type(provider).__module__}.{type(provider).__qualname__}"


def _caller() -> str:
    """Return the module that sets a tracer provider; the provider's class is mostly the SDK's."""
    frame = sys._getframe(1)  # Nothing public is as cheap
    module = __name__
    while frame.f_back is not None and module.partition(".")[0] in _BETWEEN:
        frame = frame.f_back
        module = str(frame.f_globals.get("__name__", ""))
    return module
