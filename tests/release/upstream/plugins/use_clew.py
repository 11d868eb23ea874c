"""A pytest plugin: where a suite activates an instrumentor, clew activates it instead.

Each test runs in a session of the plugin. Every span that it exports has to carry a session and a
user; the plugin's own two ids are then removed, so that the suite's assertions still apply.
"""

import copy
from fnmatch import fnmatchcase
from functools import wraps
from importlib.metadata import entry_points

import pytest
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clew import instrument_all, uninstrument_all, using_session
from clew.core import containment

PLUGIN_IDS = {"session.id": "a session of clew's", "user.id": "a user of clew's"}

containment.reraise = True  # An exception of clew's own fails the test.

_names = {it.value: it.name for it in entry_points(group="openinference_instrumentor")}
_activated = {}
"""The arguments with which the suite has activated each instrumentor, by framework."""
_without_ids = []


class _State:
    by_clew = False
    """Whether clew itself is activating or deactivating an instrumentor."""
    in_session = False
    """Whether a test runs in the plugin's session."""


def pytest_addoption(parser):
    parser.addoption(
        "--without-session", action="append", default=[], help="tests that have ids of their own"
    )


def _between(original, ours):
    @wraps(original)
    def method(self, **kwargs):
        name = _names.get(f"{type(self).__module__}:{type(self).__name__}")
        if _State.by_clew or name is None:
            return original(self, **kwargs)
        return ours(self, name, original, **kwargs)

    return method


def _instrument(instrumentor, name, original, **kwargs):
    if instrumentor.is_instrumented_by_opentelemetry:
        return original(instrumentor, **kwargs)  # It logs a warning, and does nothing.
    kwargs.pop("skip_dep_check", None)
    _activated[name] = kwargs
    return _instrument_all_activated()


def _uninstrument(instrumentor, name, original, **kwargs):
    if _activated.pop(name, None) is None:
        return original(instrumentor, **kwargs)  # As above.
    return _instrument_all_activated()


def _instrument_all_activated():
    """Start clew again with all that the suite has activated so far."""
    _State.by_clew = True
    try:
        uninstrument_all()
        if _activated:
            given = [dict(kwargs) for kwargs in _activated.values()]
            (provider,) = {kwargs.pop("tracer_provider", None) for kwargs in given}
            (config,) = {kwargs.pop("config", None) for kwargs in given}
            options = dict(zip(_activated, given, strict=True))
            instrument_all(
                only=list(_activated), tracer_provider=provider, config=config, options=options
            )
    finally:
        _State.by_clew = False


def _export(original):
    @wraps(original)
    def export(self, spans):
        return original(self, [_without_ours(span) for span in spans])

    return export


def _without_ours(span):
    attributes = dict(span.attributes or {})
    missing = sorted(PLUGIN_IDS.keys() - attributes.keys())
    if missing and _activated and _State.in_session:
        _without_ids.append(f"{span.name} has no {' and no '.join(missing)}")
    span = copy.copy(span)
    span._attributes = {key: it for key, it in attributes.items() if PLUGIN_IDS.get(key) != it}
    return span


BaseInstrumentor.instrument = _between(BaseInstrumentor.instrument, _instrument)
BaseInstrumentor.uninstrument = _between(BaseInstrumentor.uninstrument, _uninstrument)
InMemorySpanExporter.export = _export(InMemorySpanExporter.export)


@pytest.fixture(autouse=True)
def _in_a_session_of_ours(request):
    apart = request.config.getoption("--without-session")
    if any(fnmatchcase(request.node.name, pattern) for pattern in apart):
        yield
        return
    _State.in_session = True
    try:
        with using_session(PLUGIN_IDS["session.id"], user_id=PLUGIN_IDS["user.id"]):
            yield
    finally:
        _State.in_session = False
        missing, _without_ids[:] = list(_without_ids), []
    assert not missing, "spans without ids: " + "; ".join(missing)
