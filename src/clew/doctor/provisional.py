"""Turns clew on in an app that is looked at, as long as the app does not do so itself.

An app is best looked at as it is. But whether it turns tracing on shows only when it does. So clew
is on from the start, provisionally: when the app calls `instrument_all()`, that starts anew with
the app's arguments, and when it sets a tracer provider, it can, and is joined.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from opentelemetry import trace
from opentelemetry.util._once import Once
from wrapt import wrap_function_wrapper

from clew.instrument import api
from clew.instrument.report import Report

_ASKED_FOR = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
)


class Arming:
    """Who has turned tracing on in this process, and what came of it."""

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
        self._busy = False
        wrap_function_wrapper(api, "instrument_all", self._was_called)
        wrap_function_wrapper(api, "uninstrument_all", self._is_taken_back)
        wrap_function_wrapper(trace, "_set_tracer_provider", self._provider_was_set)
        if (running := api._running) is not None:  # noqa: SLF001 - it looks at clew from inside
            self.by, self.report = "environment", running.activator.report

    def arm(self) -> None:
        """Turn clew on provisionally, without a word and without the default export."""
        self.by = "doctor"
        logging.getLogger("clew").addFilter(self._is_the_apps)
        try:
            with self._by_the_doctor(), _no_default_export():
                self.report = self._start()
        except Exception as problem:  # The app has to run all the same
            self.by, self.failed = None, f"{type(problem).__name__}: {problem}"
        else:
            self._make_room()

    def states(self) -> dict[str, Any] | None:
        """Return the state of each framework, None where tracing was never on."""
        if self.last_states is not None:
            return self.last_states
        return None if self.report is None else self.report.as_dict()

    def _is_the_apps(self, _: logging.LogRecord) -> bool:
        return self.by != "doctor"

    @contextmanager
    def _by_the_doctor(self) -> Iterator[None]:
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def _was_called(
        self, wrapped: Callable[..., Report], _: Any, args: Any, kwargs: dict[str, Any]
    ) -> Report:
        if self.by == "doctor":
            self.by = None
            with self._by_the_doctor():
                api.uninstrument_all()
            if trace.get_tracer_provider() is self._provisional:
                self._make_room(forget=True)
            else:
                trace._TRACER_PROVIDER_SET_ONCE.do_once(lambda: None)  # noqa: SLF001 - as it was
        caller = _caller()
        self.report = wrapped(*args, **kwargs)
        self.last_states = None
        self.by = self.by or ("environment" if caller.startswith("clew.") else "application")
        return self.report

    def _is_taken_back(self, wrapped: Callable[[], None], _: Any, args: Any, kwargs: Any) -> None:
        if not self._busy and self.report is not None:
            self.last_states = self.report.as_dict()
        wrapped(*args, **kwargs)

    def _provider_was_set(self, wrapped: Any, _: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        given = args[0] if args else kwargs.get("tracer_provider")
        if self._busy:
            return
        if trace.get_tracer_provider() is not given:
            self.refused_provider = True
        elif self.by == "doctor":
            with self._by_the_doctor():
                api.uninstrument_all()
                self.report = self._start()

    def _make_room(self, *, forget: bool = False) -> None:
        """Let the app set a tracer provider, though there is one."""
        self._provisional = trace.get_tracer_provider()
        module = vars(trace)
        module["_TRACER_PROVIDER_SET_ONCE"] = Once()
        if forget:
            module["_TRACER_PROVIDER"] = None


@contextmanager
def _no_default_export() -> Iterator[None]:
    """Keep spans off the app's standard error, where they would go if nothing was configured."""
    if any(os.environ.get(name, "").strip() for name in _ASKED_FOR):
        yield
        return
    os.environ["OTEL_TRACES_EXPORTER"] = "none"
    try:
        yield
    finally:
        del os.environ["OTEL_TRACES_EXPORTER"]


def _caller() -> str:
    """Return the module that called what is wrapped here."""
    frame: FrameType | None = sys._getframe(1)
    name = __name__
    while frame is not None and name.startswith((__name__, "wrapt")):
        name = str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back
    return name
