"""Adds a processor to any tracer provider, and warns of a provider that is set too late."""

import logging
import sys
from collections.abc import Callable
from typing import Any

from opentelemetry import trace

logger = logging.getLogger("clew")

_SETTER = "_set_tracer_provider"


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
    return used is not None and used is getattr(provider, "_active_span_processor", None)


class _Global:
    """The tracer provider that clew made and set as the global one, until it is replaced."""

    made: Any = None


_WHAT_TO_DO = (
    "set it up before instrument_all(), or send clew's spans to its backend with "
    "OTEL_EXPORTER_OTLP_ENDPOINT"
)


def warn_of_later_provider(made: Any) -> Callable[[], None]:
    """Warn when the application sets a tracer provider although *made* is the global one.

    OpenTelemetry ignores the later one, and its warning does not tell what to do. Nothing public
    reports the attempt, but both ways to set a provider call the function that is wrapped here.
    """
    original = getattr(trace, _SETTER, None)
    if original is None:
        return lambda: None
    active = True
    _Global.made = made

    def set_tracer_provider(tracer_provider: Any, *args: Any, **kwargs: Any) -> None:
        original(tracer_provider, *args, **kwargs)
        if active and tracer_provider is not made and trace.get_tracer_provider() is made:
            logger.warning(
                "clew: %s was set as the tracer provider, by %s, after instrument_all() had made "
                "one, so OpenTelemetry ignores it and its exporters get no spans; %s",
                _name_of(tracer_provider),
                _caller(),
                _WHAT_TO_DO,
            )

    setattr(trace, _SETTER, set_tracer_provider)

    def stop() -> None:
        nonlocal active
        active = False
        if _Global.made is made:
            _Global.made = None
        # Otherwise somebody else has wrapped it.
        if getattr(trace, _SETTER, None) is set_tracer_provider:
            setattr(trace, _SETTER, original)

    return stop


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
    while frame.f_back is not None and module.partition(".")[0] in {"clew", "opentelemetry"}:
        frame = frame.f_back
        module = str(frame.f_globals.get("__name__", ""))
    return module
