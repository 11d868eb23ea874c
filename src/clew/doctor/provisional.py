"""Turns clew on in an app that the doctor runs, until the app does so itself.

Whether an app turns tracing on is known only when it does, so clew is on provisionally from the
start. When the app calls `instrument_all()`, clew starts again with the app's arguments. When it
sets a tracer provider, that succeeds, and clew starts again on that provider.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from opentelemetry import trace

from clew.core import otel_private
from clew.instrument import api
from clew.instrument.report import Report
from clew.patching.wrap import wrap_in_modules

_EXPORT_VARIABLES = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
)


class TracingStart:
    """Records who turned tracing on in this process, and the report of it."""

    def __init__(self) -> None:
        self.by: str | None = None
        """``doctor``, ``environment`` or ``application``."""
        self.failed: str | None = None
        """Why the doctor could not turn it on."""
        self.report: Report | None = None
        self.last_states: dict[str, Any] | None = None
        """The report as it was when the app turned tracing off again."""
        self.refused_provider = False
        self._start = api.instrument_all
        self._doctor_is_acting = False
        wrap_in_modules(
            {
                api: {
                    "instrument_all": self._on_instrument_all,
                    "uninstrument_all": self._on_uninstrument_all,
                },
                trace: {otel_private.SET_TRACER_PROVIDER: self._on_provider_set},
            }
        )

    def start_provisionally(self) -> None:
        """Turn clew on provisionally, without log records and without the default exporter."""
        self.by = "doctor"
        logging.getLogger("clew").addFilter(self._is_for_the_app)
        try:
            with self._acting(), _no_default_export():
                self.report = self._start()
        except Exception as problem:  # The app has to run nevertheless
            self.by, self.failed = None, f"{type(problem).__name__}: {problem}"
        else:
            self._allow_another_provider()

    def notice_automatic_start(self) -> None:
        """Take notice of what ``opentelemetry-instrument`` has turned on, also after the doctor."""
        running = api._running  # noqa: SLF001 - nothing public says it
        if self.report is None and running is not None:
            self.by, self.report = "environment", running.activator.report

    def states(self) -> dict[str, Any] | None:
        """Return the state of each framework, None where tracing was never on."""
        if self.last_states is not None:
            return self.last_states
        return None if self.report is None else self.report.as_dict()

    def _is_for_the_app(self, _: logging.LogRecord) -> bool:
        return self.by != "doctor"

    @contextmanager
    def _acting(self) -> Iterator[None]:
        self._doctor_is_acting = True
        try:
            yield
        finally:
            self._doctor_is_acting = False

    def _on_instrument_all(
        self, wrapped: Callable[..., Report], _: Any, args: Any, kwargs: dict[str, Any]
    ) -> Report:
        if self.by == "doctor":
            self.by = None
            with self._acting():
                api.uninstrument_all()
            if trace.get_tracer_provider() is self._provisional:
                self._allow_another_provider(forget=True)
            else:
                otel_private.refuse_another_tracer_provider()
        caller = _caller()
        self.report = wrapped(*args, **kwargs)
        self.last_states = None
        self.by = self.by or ("environment" if caller.startswith("clew.") else "application")
        return self.report

    def _on_uninstrument_all(
        self, wrapped: Callable[[], None], _: Any, args: Any, kwargs: Any
    ) -> None:
        self.notice_automatic_start()
        if not self._doctor_is_acting and self.report is not None:
            self.last_states = self.report.as_dict()
        wrapped(*args, **kwargs)

    def _on_provider_set(self, wrapped: Any, _: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        provider = args[0] if args else kwargs.get("tracer_provider")
        if self._doctor_is_acting:
            return
        if trace.get_tracer_provider() is not provider:
            self.refused_provider = True
        elif self.by == "doctor":
            with self._acting():
                api.uninstrument_all()
                self.report = self._start()

    def _allow_another_provider(self, *, forget: bool = False) -> None:
        """Let the app set a tracer provider, which OpenTelemetry would refuse after clew's."""
        self._provisional = trace.get_tracer_provider()
        otel_private.allow_another_tracer_provider()
        if forget:
            otel_private.forget_tracer_provider()


@contextmanager
def _no_default_export() -> Iterator[None]:
    """Keep spans out of the store, where they go if no exporter is configured."""
    if any(os.environ.get(name, "").strip() for name in _EXPORT_VARIABLES):
        yield
        return
    os.environ["OTEL_TRACES_EXPORTER"] = "none"
    try:
        yield
    finally:
        del os.environ["OTEL_TRACES_EXPORTER"]


def _caller() -> str:
    """Return the name of the module that called the function that is wrapped here."""
    frame: FrameType | None = sys._getframe(1)
    name = __name__
    while frame is not None and name.startswith((__name__, "wrapt")):
        name = str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back
    return name
