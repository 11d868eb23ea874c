"""Keeps or drops whole sessions: the decision is made from the session id alone.

So it is the same for every trace of a session, in every process, whichever library made the root
span. For spans outside a session the application's sampler decides.
"""

import gc
import logging
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import get_current_span

from clew.context.dropped_sessions import drop_sessions, session_is_kept
from clew.context.ids import SESSION_ID
from clew.context.lookup import find_attributes
from clew.context.request import restore_request_context
from clew.core.containment import contain
from clew.core.otel_private import span_processor_of, tracers_of
from clew.patching.undo import UndoStack

logger = logging.getLogger("clew")


def sample_sessions(provider: Any, rate: float, undo: UndoStack) -> None:
    """Make *provider* keep the share *rate* of sessions; add to *undo* what undoes it.

    The provider and the tracers that it has made get a `SessionSampler` around their own sampler.
    That one is not changed: the SDK gives the same object to all providers that specify none. The
    tracers of the instrumentors (`ClewTracer`) read the provider's sampler for each span.
    """
    original = getattr(provider, "sampler", None)
    if isinstance(original, SessionSampler):
        return  # The caller that has set it removes it.
    if original is not None:
        sampler = SessionSampler(original, rate)
        undo.add(partial(_remove, provider, sampler))
        try:
            provider.sampler = sampler
        except AttributeError:  # A property, or a class that forbids assignment.
            original = None
    if original is None:
        logger.warning(
            "clew: %s takes no sampler; CLEW_SESSION_SAMPLE_RATE does not apply to its spans",
            type(provider).__name__,
        )
        return
    drop_sessions(rate, undo)
    _replace(provider, original, sampler)


class SessionSampler(Sampler):
    """A sampler that decides by the session's id, and outside a session asks the original one."""

    def __init__(self, original: Sampler, rate: float) -> None:
        self.original = original
        self.rate = rate
        self.active = True
        """False once it is undone, for tracers that are not found to remove it from."""

    def should_sample(  # noqa: PLR0913, PLR0917 - OpenTelemetry's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        """Keep or drop a span of a session; for any other span the original sampler decides."""
        decision = None
        if self.active:
            try:
                restore_request_context(kind)
                decision = _decide(parent_context, attributes, self.rate)
            except Exception:
                contain("sampling a session")
        if decision is None:
            return self.original.should_sample(
                parent_context, trace_id, name, kind, attributes, links, trace_state
            )
        parent = get_current_span(parent_context).get_span_context()
        return SamplingResult(decision, attributes, trace_state or parent.trace_state)

    def get_description(self) -> str:
        """Return the rate, and the sampler that decides outside a session."""
        return f"SessionSampler{{{self.rate},{self.original.get_description()}}}"

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the original sampler, as the application may read it here."""
        if name == "original":  # Not set yet, for example while the sampler is being copied.
            raise AttributeError(name)
        return getattr(self.original, name)


def _remove(provider: Any, sampler: SessionSampler) -> None:
    sampler.active = False
    if getattr(provider, "sampler", None) is sampler:
        provider.sampler = sampler.original
    _replace(provider, sampler, sampler.original)


def _replace(provider: Any, old: Sampler, new: Sampler) -> None:
    """Replace the sampler of the tracers that have copied it: all but clew's for instrumentors."""
    for tracer in _tracers_of(provider):
        if tracer.sampler is old:
            tracer.sampler = new


def _tracers_of(provider: Any) -> Iterable[Tracer]:
    """Return the tracers that *provider* has made, each of which has copied its sampler.

    Newer SDKs keep a list of them. In older ones, the garbage collector lists all objects of the
    class, and a provider's tracers are those that have its span processor.
    """
    tracers = tracers_of(provider)
    if tracers is not None:
        return tracers
    processor = span_processor_of(provider)
    return [
        obj
        for obj in gc.get_referrers(*_with_subclasses(Tracer))
        if isinstance(obj, Tracer) and processor is not None and obj.span_processor is processor
    ]


def _with_subclasses(tracer_class: type[Tracer]) -> Iterator[type[Tracer]]:
    yield tracer_class
    for subclass in tracer_class.__subclasses__():
        yield from _with_subclasses(subclass)


def _decide(parent_context: Context | None, attributes: Any, rate: float) -> Decision | None:
    session_id = (attributes or {}).get(SESSION_ID)
    if session_id is None:
        session_id = find_attributes(parent_context).attributes.get(SESSION_ID)
    if not isinstance(session_id, str):
        return None
    kept = session_is_kept(session_id, rate)
    return Decision.RECORD_AND_SAMPLE if kept else Decision.DROP
