"""Calls of a framework, run in the context in which they are made.

A stream or a coroutine that is made inside a session and read outside it, in another task or inside
another session's block, belongs to the session it was made in. And a call that names its own
conversation (LangGraph's ``thread_id``, an agent's ``sessionId``) puts all its spans into that
session, where the application has named none. Which methods of which framework these are stands
in `frameworks.py`.
"""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any

from opentelemetry.context import Context, get_current

from clew.context.api import carried, entered
from clew.context.blocks import captured
from clew.context.decorators import runner_of
from clew.context.identity import SESSION_ID, Identity, admitted_id
from clew.core import counters
from clew.core.containment import contain
from clew.core.frameworks import ContextMethods
from clew.patching.subclasses import Undo, change_with_subclasses
from clew.patching.wrap import Patches, PicklableWrapper, is_active


def follow(calls: Sequence[ContextMethods]) -> Undo:
    """Let *calls* run in the context in which they are made; return what undoes it.

    Nothing is imported for it: a framework loads its parts when they are used, and each is followed
    from then on.
    """
    patches = Patches(_Followed, "following")
    for call in calls:
        patches.when_loaded(call.owner, partial(_follow, call=call, patches=patches))
    return patches.undo


def _follow(owner: Any, call: ContextMethods, patches: Patches) -> Iterator[Undo]:
    wrap = partial(_wrap, call=call, patches=patches)
    unwrap = partial(_unwrap, call=call, patches=patches)
    if inspect.isclass(owner):
        yield change_with_subclasses(owner, wrap, unwrap)
    else:
        wrap(owner)
        yield partial(unwrap, owner)


class _Followed(PicklableWrapper):
    """A method that runs in the context in which it is called."""


def _wrap(owner: Any, call: ContextMethods, patches: Patches) -> None:
    for name in call.methods:
        method = vars(owner).get(name)
        if callable(method) and not (isinstance(method, _Followed) and is_active(method)):
            patches.wrap_one(owner, name, _wrapper(method, call))


def _unwrap(owner: Any, call: ContextMethods, patches: Patches) -> None:
    for name in call.methods:
        patches.unwrap_one(owner, name)


def _wrapper(method: Callable[..., Any], call: ContextMethods) -> Callable[..., Any]:
    places = tuple(_Place(method, place) for place in call.conversation_paths)
    run = runner_of(method)

    def wrapper(
        wrapped: Callable[..., Any],
        instance: Any,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        if call.returns_functions:
            return _in_the_context_of_each_call(wrapped(*arguments, **named))
        if call.returns_responses:
            return _remembered(wrapped(*arguments, **named))
        context = get_current()
        try:
            context = captured()
            if places:
                conversation = _named_by(places, instance, arguments, named)
                context = _with_conversation(context, conversation)
        except Exception:
            contain("choosing the context of a call")
        return run(partial(wrapped, *arguments, **named), context)

    return wrapper


def _in_the_context_of_each_call(function: Callable[..., Any]) -> Callable[..., Any]:
    run = runner_of(function)

    def wrapper(
        wrapped: Callable[..., Any],
        _instance: Any,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        context = get_current()
        try:
            context = captured()
        except Exception:
            contain("choosing the context of a call")
        return run(partial(wrapped, *arguments, **named), context)

    made: Callable[..., Any] = _Followed(function, wrapper)
    return made


# --- the framework's own conversation ---


class _Place:
    """Where a call names its conversation: an argument, and what to look up in it."""

    def __init__(self, method: Callable[..., Any], place: str) -> None:
        self._argument, *self._path = place.split(".")
        names = list(inspect.signature(method).parameters)
        bound = names[1:] if names[:1] == ["self"] else names
        self._position = bound.index(self._argument) if self._argument in bound else None

    def read(self, instance: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        if self._argument == "self":
            value = instance
        elif self._argument in named:
            value = named[self._argument]
        elif self._position is not None and self._position < len(arguments):
            value = arguments[self._position]
        else:
            return None
        for part in self._path:
            value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
        return value


def _named_by(
    places: Sequence[_Place], instance: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> str | None:
    for place in places:
        value = place.read(instance, arguments, named)
        if isinstance(value, str | int) and value and (usable := admitted_id(value)):
            return _chains.root(usable)
    return None


def _with_conversation(context: Context, conversation: str | None) -> Context:
    """Return *context* with the framework's own id, unless the application has named a session."""
    if conversation is None:
        return context
    found = carried()
    session = found.attributes.get(SESSION_ID)
    if session is None or SESSION_ID in found.inherited:
        return entered(context, Identity(session_id=conversation))
    if session != conversation:
        counters.count("conversations of a framework overruled by the application's session")
    return context


class _Chains:
    """The conversations that consist of responses which each name the one before.

    Each process knows those that it has received itself.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._roots: OrderedDict[str, str] = OrderedDict()
        self._most = most
        self._lock = Lock()

    def root(self, response: str) -> str:
        """Return the first response of the chain, or the id itself where it is none."""
        return self._roots.get(response, response)

    def remember(self, received: Any) -> None:
        """Note which conversation a response goes on with; *received* may be a stream's event."""
        # Read past the SDK's classes, whose attribute lookup is slow for what they do not have:
        # every event of every stream comes by here.
        fields = getattr(received, "__dict__", None) or {}
        fields = getattr(fields.get("response"), "__dict__", fields)
        if fields.get("object") != "response":
            return
        response, before = fields.get("id"), fields.get("previous_response_id")
        before = before or getattr(fields.get("conversation"), "id", None)
        if not (isinstance(response, str) and isinstance(before, str)):
            return
        if usable := admitted_id(before):
            with self._lock:
                self._roots[response] = self.root(usable)
                while len(self._roots) > self._most:
                    self._roots.popitem(last=False)


_chains = _Chains()


def _remembered(received: Any) -> Any:
    try:
        _chains.remember(received)
    except Exception:
        contain("following the responses of a conversation")
    return received
