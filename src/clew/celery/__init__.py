"""Celery: a task's spans are in the session of whoever called it.

Celery is not instrumented unasked, because a message may leave the application: the ids are put
into its headers only where the application says so, once, in each process that calls or runs tasks:

    from clew.celery import connect

    app = Celery("shop", broker=...)
    connect()

    with using_session("chat-42", user_id="ada"):
        answer.delay("why?")                      # the worker's spans are in chat-42
"""

import json
from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import get_current_span, set_span_in_context

from clew.context.api import carried
from clew.context.carry import Attributes, Parcel, packed, unpacked
from clew.context.identity import CARRIED, TAGS, USER_ID, Pseudonym
from clew.core import counters
from clew.core.containment import contain
from clew.propagation.fork import flush_last_spans

__all__ = ["connect"]

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

HEADER = "clew"
_BEFORE = "_clew_before"


def connect() -> Callable[[], None]:
    """Send the ids along with every task that this process calls, and take up those sent to it.

    They travel in the header ``clew`` of a task's message, with the current span as the parent of
    the task's: through retries, chains, groups and chords, because what is published inside a task
    is published in its session. Each task starts from nothing but what its message says. A task
    that is run on the spot (``apply``, ``task_always_eager``, a plain call) needs no header: it
    runs in the context of its caller.

    It holds for all of the process's brokers; those are then told the ids. A user id goes as its
    pseudonym where ``CLEW_USER_ID_KEY`` is set. Calling it twice changes nothing. Return what
    undoes it.

    OpenTelemetry's instrumentation of Celery is not needed, and does no harm: it makes spans of
    the calls and of the tasks themselves, which then carry the ids as well.
    """
    connections = _connections()
    _connect_last()

    def disconnect() -> None:
        for signal, receiver in connections:
            signal.disconnect(dispatch_uid=receiver.__name__)

    return disconnect


def _connections() -> list[tuple[Any, Callable[..., None]]]:
    signals = import_module("celery.signals")  # Only where the application uses it.
    return [
        (signals.before_task_publish, clew_publishing),
        (signals.task_prerun, clew_starting),
        (signals.task_postrun, clew_ended),
        (signals.worker_init, clew_worker_begins),
        (signals.worker_process_init, clew_worker_begins),
        (signals.worker_process_shutdown, clew_worker_ends),
    ]


def _connect_last() -> None:
    """Be called after other instrumentations, which start each task in a context of their own."""
    for signal, receiver in _connections():
        signal.disconnect(dispatch_uid=receiver.__name__)
        signal.connect(receiver, weak=False, dispatch_uid=receiver.__name__)


def _contained(receiver: Callable[..., None]) -> Callable[..., None]:
    @wraps(receiver)
    def contained(**named: Any) -> None:
        try:
            receiver(**named)
        except Exception:
            contain(f"Celery called {receiver.__name__}")

    return contained


@_contained
def clew_publishing(headers: Any = None, **_: Any) -> None:
    """Write the ids into a message."""
    if not isinstance(headers, dict):
        return  # A message of the protocol before version 2, which has no headers.
    headers.pop(HEADER, None)  # A retried task's message is made from the one that came in.
    parcel = packed(get_current())
    if any(parcel):
        headers[HEADER] = _written(parcel)


@_contained
def clew_starting(task: Any = None, **_: Any) -> None:
    """Enter the context that a task's message tells of."""
    request = task.request
    if request.is_eager or request.called_directly:
        return
    header = getattr(request, HEADER, None)
    context = Context() if header is None else unpacked(_read(header))
    before, span = get_current(), get_current_span()
    if not span.is_recording():
        setattr(request, _BEFORE, before)
        attach(context)
        return
    # Another instrumentation has opened the task's span, and will leave its context as well.
    rest = {key: value for key, value in before.items() if key not in CARRIED}
    attach(set_span_in_context(span, Context({**rest, **context})))
    for key, value in carried().attributes.items():
        span.set_attribute(key, value)


@_contained
def clew_ended(task: Any = None, **_: Any) -> None:
    """Leave a task's context, and whatever the task has left on top of it."""
    before = getattr(task.request, _BEFORE, None)
    if before is not None:
        attach(before)


@_contained
def clew_worker_begins(**_: Any) -> None:
    """Connect anew: an application may have started others, or may do so in this very signal."""
    _connect_last()


@_contained
def clew_worker_ends(**_: Any) -> None:
    """Export the last spans: the processes of Celery's pool end without running ``atexit``."""
    flush_last_spans()


def _written(parcel: Parcel) -> str:
    """Write *parcel* as text, which all brokers take; the numbers would be too long for some."""
    pseudonym = any(isinstance(part.get(USER_ID), Pseudonym) for part in parcel[:2])
    return json.dumps([*parcel, pseudonym])


def _read(header: object) -> Parcel:
    """Read a header, which came from outside: what cannot be used is dropped and counted."""
    try:
        said, inherited, parent, pseudonym = json.loads(str(header))
        if parent is not None:
            trace_id, span_id, flags, state = parent
            state = tuple((str(key), str(value)) for key, value in state)
            parent = (int(trace_id), int(span_id), int(flags), state)
        return Parcel(_usable(said, pseudonym), _usable(inherited, pseudonym), parent)
    except (AttributeError, TypeError, ValueError):
        counters.count("task headers that cannot be used")
        return Parcel({}, {}, None)


def _usable(sent: Mapping[str, Any], pseudonym: object) -> Attributes:
    used: dict[str, AttributeValue] = {}
    for key in CARRIED:
        value = sent.get(key)
        if isinstance(value, str):
            used[key] = Pseudonym(value) if key == USER_ID and pseudonym is True else value
        elif key == TAGS and isinstance(value, list):
            used[key] = [str(tag) for tag in value]
    return used
