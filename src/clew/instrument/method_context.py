"""Runs calls of a framework in the context in which they are made.

A stream or a coroutine that is made inside a session and read outside it, in another task or inside
another session's block, belongs to the session it was made in. And a call that names its own
conversation (LangGraph's ``thread_id``, an agent's ``sessionId``) puts all its spans into that
session, where the application has named none. `frameworks.py` lists these methods.
"""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any

from opentelemetry.context import Context, get_current

from clew.context.blocks import capture_context, with_changes
from clew.context.decorators import runner_for
from clew.context.identity import Identity
from clew.context.ids import SESSION_ID, external_id
from clew.context.lookup import find_attributes
from clew.core import counters
from clew.core.containment import contain
from clew.core.frameworks import ContextMethods
from clew.patching.subclasses import change_with_subclasses
from clew.patching.undo import Undo, UndoStack
from clew.patching.wrap import Patches, PicklableWrapper, is_active


def wrap_calls(calls: Sequence[ContextMethods], undo: UndoStack) -> None:
    """Let *calls* run in the context in which they are made.

    Nothing is imported for it: a framework loads its modules when they are used, and the methods in
    each are wrapped from then on.
    """
    patches = Patches(_MethodWrapper)
    undo.add(patches.undo)
    for call in calls:
        patches.when_loaded(call.owner, partial(_wrap_owner, call=call, patches=patches))


def _wrap_owner(owner: Any, call: ContextMethods, patches: Patches) -> Iterator[Undo]:
    wrap = partial(_wrap, call=call, patches=patches)
    unwrap = partial(_unwrap, call=call, patches=patches)
    if inspect.isclass(owner):
        undo = UndoStack(f"unwrapping the methods of {call.owner}")
        yield undo.undo
        change_with_subclasses(owner, wrap, unwrap, undo)
    else:
        yield partial(unwrap, owner)
        wrap(owner)


class _MethodWrapper(PicklableWrapper):
    """A method that runs in the context in which it is called."""


def _wrap(owner: Any, call: ContextMethods, patches: Patches) -> None:
    for name in call.methods:
        method = vars(owner).get(name)
        if callable(method) and not (isinstance(method, _MethodWrapper) and is_active(method)):
            patches.wrap_one(owner, name, _wrapper(method, call))


def _unwrap(owner: Any, call: ContextMethods, patches: Patches) -> None:
    for name in call.methods:
        patches.unwrap_one(owner, name)


def _wrapper(method: Callable[..., Any], call: ContextMethods) -> Callable[..., Any]:
    paths = tuple(_ArgumentPath(method, path) for path in call.conversation_paths)
    run = runner_for(method)

    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if call.returns_functions:
            return _in_the_context_of_each_call(wrapped(*args, **kwargs))
        if call.returns_responses:
            return _remembered(wrapped(*args, **kwargs))
        context = get_current()
        try:
            context = capture_context()
            if paths:
                conversation = _conversation_in(paths, instance, args, kwargs)
                context = _with_conversation(context, conversation)
        except Exception:
            contain("choosing the context of a call")
        return run(partial(wrapped, *args, **kwargs), context)

    return wrapper


def _in_the_context_of_each_call(function: Callable[..., Any]) -> Callable[..., Any]:
    run = runner_for(function)

    def wrapper(
        wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        context = get_current()
        try:
            context = capture_context()
        except Exception:
            contain("choosing the context of a call")
        return run(partial(wrapped, *args, **kwargs), context)

    result: Callable[..., Any] = _MethodWrapper(function, wrapper)
    return result


# --- the framework's own conversation ---


class _ArgumentPath:
    """Where a call names its conversation: an argument, and what to look up in it."""

    def __init__(self, method: Callable[..., Any], path: str) -> None:
        self._argument, *self._path = path.split(".")
        names = list(inspect.signature(method).parameters)
        bound = names[1:] if names[:1] == ["self"] else names
        self._position = bound.index(self._argument) if self._argument in bound else None

    def read(self, instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if self._argument == "self":
            value = instance
        elif self._argument in kwargs:
            value = kwargs[self._argument]
        elif self._position is not None and self._position < len(args):
            value = args[self._position]
        else:
            return None
        for part in self._path:
            value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
        return value


def _conversation_in(
    paths: Sequence[_ArgumentPath], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str | None:
    for path in paths:
        value = path.read(instance, args, kwargs)
        if isinstance(value, str | int) and value and (usable := external_id(value)):
            return _chains.first(usable)
    return None


def _with_conversation(context: Context, conversation: str | None) -> Context:
    """Return *context* with the framework's own id, unless the application has set a session."""
    if conversation is None:
        return context
    found = find_attributes()
    session = found.attributes.get(SESSION_ID)
    if session is None or SESSION_ID in found.inherited:
        return with_changes(context, Identity(session_id=conversation).attributes())
    if session != conversation:
        counters.count("conversations of a framework overruled by the application's session")
    return context


class _ResponseChains:
    """Conversations of responses that each name the response before.

    A process knows only the responses that it has received itself.
    """

    def __init__(self, max_responses: int = 10_000) -> None:
        self._first: OrderedDict[str, str] = OrderedDict()
        self._max_responses = max_responses
        self._lock = Lock()

    def first(self, response: str) -> str:
        """Return the id of the first response of the chain; *response* itself if it is in none."""
        return self._first.get(response, response)

    def remember(self, received: Any) -> None:
        """Remember which response *received* continues; it may be an event of a stream."""
        # Not by getattr on the SDK's objects, which is slow for attributes that they do not have:
        # this is called for every event of every stream.
        fields = getattr(received, "__dict__", None) or {}
        fields = getattr(fields.get("response"), "__dict__", fields)
        if fields.get("object") != "response":
            return
        response, before = fields.get("id"), fields.get("previous_response_id")
        before = before or getattr(fields.get("conversation"), "id", None)
        if not (isinstance(response, str) and isinstance(before, str)):
            return
        if usable := external_id(before):
            with self._lock:
                self._first[response] = self.first(usable)
                while len(self._first) > self._max_responses:
                    self._first.popitem(last=False)


_chains = _ResponseChains()


def _remembered(received: Any) -> Any:
    try:
        _chains.remember(received)
    except Exception:
        contain("recording a response of a conversation")
    return received
