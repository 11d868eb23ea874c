"""Keeps or drops whole sessions: the decision is made from the session id alone.

So every trace of a session fares alike, in every process, whoever made the root span. Spans outside
a session are left to the application's sampler.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import get_current_span

from clew.boundary import contain
from clew.context import carried
from clew.identity import SESSION_ID
from clew.serving import put_back


@lru_cache(maxsize=4096)
def session_is_kept(session_id: str, rate: float) -> bool:
    """Whether a session is among the share *rate* that is kept; the same answer everywhere."""
    position = int.from_bytes(sha256(session_id.encode("utf-8", "replace")).digest()[:8])
    return position < rate * 2**64


def sample_sessions(sampler: Sampler, rate: float) -> Callable[[], None]:
    """Let *sampler* keep the share *rate* of sessions; return what undoes it.

    A provider and all the tracers that it has handed out share one sampler object, and nothing
    else public leads to those tracers. So the object is taught, not exchanged: an application
    that made its tracer before clew was started has its sessions sampled as well.
    """
    if "should_sample" in getattr(sampler, "__dict__", {}):
        return lambda: None  # Shared with another provider, by which it has been taught already.
    original = sampler.should_sample

    def should_sample(  # noqa: PLR0913, PLR0917 - OpenTelemetry's signature
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        try:
            put_back(kind)
            decision = _decision(parent_context, attributes, rate)
        except Exception:  # noqa: BLE001 - the boundary to the application
            contain("sampling a session")
            decision = None
        if decision is None:
            return original(parent_context, trace_id, name, kind, attributes, links, trace_state)
        parent = get_current_span(parent_context).get_span_context()
        return SamplingResult(decision, attributes, trace_state or parent.trace_state)

    # The way around a class that forbids assignment, as a frozen dataclass does.
    object.__setattr__(sampler, "should_sample", should_sample)
    return partial(object.__delattr__, sampler, "should_sample")


def _decision(parent_context: Context | None, attributes: Any, rate: float) -> Decision | None:
    session_id = (attributes or {}).get(SESSION_ID)
    if session_id is None:
        session_id = carried(parent_context).attributes.get(SESSION_ID)
    if not isinstance(session_id, str):
        return None
    kept = session_is_kept(session_id, rate)
    return Decision.RECORD_AND_SAMPLE if kept else Decision.DROP
