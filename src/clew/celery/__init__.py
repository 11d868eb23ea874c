"""Celery: carries the session and the user of a task's caller into the task.

Celery is not instrumented by default, because a message may leave the application: ids are put into
its headers only after a call of `connect`, once in each process that calls or runs tasks:

    from clew.celery import connect

    app = Celery("shop", broker=...)
    connect()

    with using_session("chat-42", user_id="ada"):
        answer.delay("why?")                      # the worker's spans are in chat-42
"""

import json
from collections.abc import Callable, Mapping
from functools import partial, wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import get_current_span, set_span_in_context

from clew.context.carry import Attributes, PackedContext, pack_context, unpack_context
from clew.context.dropped_sessions import is_of_dropped_session
from clew.context.ids import CONTEXT_KEYS, TAGS, USER_ID, usable_id
from clew.context.lookup import find_attributes
from clew.context.pseudonyms import Pseudonym
from clew.context.stepping import SteppedContext
from clew.core import counters
from clew.core.containment import contain
from clew.patching.wrap import Patches

__all__ = ["connect"]

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

HEADER = "clew"
_CONTEXT_BEFORE = "_clew_before"
"""What a request has whose task was begun here: the context before it, or None."""
_OF_LOST_TASKS = (
    ("celery.backends.base:Backend", "mark_as_failure"),
    ("celery.backends.base:Backend", "mark_as_revoked"),
    ("celery.worker.request:Request", "on_failure"),
    ("celery.worker.request:Request", "on_timeout"),
)
"""What a worker's main process does for a task that did not end, or did not begin, in a child."""
_patches: list[Patches] = []


def connect() -> Callable[[], None]:
    """Send ids with each task that this process calls, and set those sent to the tasks it runs.

    The ids are in the header ``clew`` of a task's message, with the current span as the parent of
    the task's span. They pass through retries, chains, groups and chords, because what is published
    inside a task is published in its session. Where a task reached its hard time limit, or its
    process was killed, what the worker's main process does for it is in its session, too: it calls
    the errbacks, and completes the chord. Each task starts with nothing but what its message says.
    A task that is run at once (``apply``, ``task_always_eager``, a plain call) needs no
    header: it runs in the context of its caller.

    It holds for all brokers of the process; they receive the ids. A user id is sent as its
    pseudonym where ``CLEW_USER_ID_KEY`` is set. Calling it twice changes nothing. Return what
    undoes it.

    OpenTelemetry's instrumentation of Celery is not needed, and does no harm: it makes spans of
    the calls and of the tasks themselves, which then carry the ids as well.
    """
    connections = _connections()
    _connect_last()
    if not _patches:
        _patches.append(patches := Patches(doing="keeping lost tasks of Celery in their session"))
        for owner, name in _OF_LOST_TASKS:
            patches.wrap(owner, name, _in_context_of_message)

    def disconnect() -> None:
        while _patches:
            _patches.pop().undo()
        for signal, receiver in connections:
            signal.disconnect(dispatch_uid=receiver.__name__)

    return disconnect


def _connections() -> list[tuple[Any, Callable[..., None]]]:
    signals = import_module("celery.signals")  # Only where the application uses it.
    return [
        (signals.before_task_publish, clew_before_publish),
        (signals.task_prerun, clew_before_task),
        (signals.task_postrun, clew_after_task),
        (signals.worker_init, clew_worker_init),
        (signals.worker_process_init, clew_worker_init),
        (signals.worker_process_shutdown, clew_worker_shutdown),
    ]


def _connect_last() -> None:
    """Connect again, as the last: other instrumentations start each task in their own context."""
    for signal, receiver in _connections():
        signal.disconnect(dispatch_uid=receiver.__name__)
        signal.connect(receiver, weak=False, dispatch_uid=receiver.__name__)


def _contained(receiver: Callable[..., None]) -> Callable[..., None]:
    @wraps(receiver)
    def contained(**kwargs: Any) -> None:
        try:
            receiver(**kwargs)
        except Exception:
            contain(f"handling a signal of Celery in {receiver.__name__}")

    return contained


@_contained
def clew_before_publish(headers: Any = None, **_: Any) -> None:
    """Write the ids into the headers of a message."""
    if not isinstance(headers, dict):
        return  # The message protocol before version 2 has no headers.
    headers.pop(HEADER, None)  # The message of a retried task is made from the one received.
    packed = pack_context(get_current())
    if any(packed):
        headers[HEADER] = _as_text(packed)


@_contained
def clew_before_task(task: Any = None, **_: Any) -> None:
    """Attach the context that a task's message brought."""
    request = task.request
    if request.is_eager or request.called_directly:
        return
    header = getattr(request, HEADER, None)
    context = Context() if header is None else unpack_context(_read(header))
    before, span = get_current(), get_current_span()
    of_span = span.get_span_context()
    if not span.is_recording() and (not of_span.is_valid or of_span.trace_flags.sampled):
        setattr(request, _CONTEXT_BEFORE, before)
        attach(context)
        return
    # Another instrumentation has started the task's span, which may not be sampled, and will detach
    # its context as well.
    setattr(request, _CONTEXT_BEFORE, None)
    rest = {key: value for key, value in before.items() if key not in CONTEXT_KEYS}
    attach(set_span_in_context(span, Context({**rest, **context})))
    attributes = find_attributes().attributes
    if is_of_dropped_session(attributes):
        return
    for key, value in attributes.items():
        span.set_attribute(key, value)


@_contained
def clew_after_task(task: Any = None, **_: Any) -> None:
    """Restore the context before a task, whatever the task has left attached."""
    before = getattr(task.request, _CONTEXT_BEFORE, None)
    if before is not None:
        attach(before)


@_contained
def clew_worker_init(**_: Any) -> None:
    """Connect again: the application may start other instrumentations before, or in this signal."""
    _connect_last()


@_contained
def clew_worker_shutdown(**_: Any) -> None:
    """Export the last spans: the processes of Celery's pool end without running ``atexit``."""
    from clew.propagation.fork import flush_last_spans  # It needs the SDK

    flush_last_spans()


def _in_context_of_message(
    wrapped: Callable[..., Any], owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    context = _context_of_message(owner, kwargs.get("request"))
    if context is None:
        return wrapped(*args, **kwargs)
    return SteppedContext(context).run(partial(wrapped, *args, **kwargs))


def _context_of_message(owner: Any, request: Any) -> Context | None:
    """Return the context that a task's message brought, unless the task itself runs here."""
    try:
        if request is None:
            header = getattr(owner, "request_dict", {}).get(HEADER)
        elif hasattr(request, _CONTEXT_BEFORE) or getattr(request, "is_eager", False):
            return None
        else:
            header = getattr(request, HEADER, None)
        return None if header is None else unpack_context(_read(header))
    except Exception:
        contain("finding the session of a lost task of Celery")
        return None


def _as_text(packed: PackedContext) -> str:
    """Return *packed* as text, for all brokers: its numbers would be too long for some of them."""
    pseudonym = any(isinstance(part.get(USER_ID), Pseudonym) for part in packed[:2])
    return json.dumps([*packed, pseudonym])


def _read(header: object) -> PackedContext:
    """Return the packed in *header*; what cannot be used is dropped and counted."""
    try:
        attributes, inherited, parent, pseudonym = json.loads(str(header))
        if parent is not None:
            trace_id, span_id, flags, state = parent
            state = tuple((str(key), str(value)) for key, value in state)
            parent = (int(trace_id), int(span_id), int(flags), state)
        return PackedContext(_usable(attributes, pseudonym), _usable(inherited, pseudonym), parent)
    except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError):
        counters.count("task headers that cannot be used")
        return PackedContext({}, {}, None)


def _usable(sent: Mapping[str, Any], pseudonym: object) -> Attributes:
    used: dict[str, AttributeValue] = {}
    for key in CONTEXT_KEYS:
        value = sent.get(key)
        if isinstance(value, str):
            is_pseudonym = key == USER_ID and pseudonym is True and usable_id(value) is not None
            used[key] = Pseudonym(value) if is_pseudonym else value
        elif key == TAGS and isinstance(value, list):
            used[key] = [str(tag) for tag in value]
    return used
