"""Blocks: ``with``, ``async with`` and decorators that change the OpenTelemetry context.

What is known of an entry into a block is kept in the context that was entered. So it goes where
that context goes, is undone where it was done, and never falls out of step with it.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from opentelemetry.context import Context, attach, get_current

from clew.bodies import Body, body_of
from clew.roots import tell_root

F = TypeVar("F", bound=Callable[..., Any])

IN_A_BODY = "clew.in-a-body"
"""In a context while a block of a generator's body is open in it."""

_ENTRY = "clew.entry"
ABSENT = object()
Changes = Mapping[str, object]


@dataclass(slots=True, eq=False)
class _Entry:
    """One entry into a block, kept in the context that was entered, and so in copies of it."""

    block: "Block"
    changes: Changes
    before: Context
    body: Body | None
    """The generator in whose body it is."""
    left: bool = False
    """Whether it was left, in whichever copy of the context."""


def _pruned(context: Context) -> Context:
    """Return *context* without the entries on top that were left in the one it was copied from.

    A task that starts the next one inside a block, and so on, would keep them all alive.
    """
    top = entry = context.get(_ENTRY)
    while isinstance(entry, _Entry) and entry.left:
        entry = entry.before.get(_ENTRY, ABSENT)
    return context if entry is top else changed(context, {_ENTRY: entry})


def changed(context: Context, changes: Changes) -> Context:
    """Return *context* with *changes*; what is ABSENT there is taken out."""
    values = {**context, **changes}
    return Context({key: value for key, value in values.items() if value is not ABSENT})


def inside(context: Context, changes: Changes) -> Context:
    """Return *context* with the *changes* of a block, which tells them to its request."""
    context = changed(context, changes)
    tell_root(context, changes)
    return context


def in_block(context: Context) -> bool:
    """Whether *context* descends from a block."""
    return _ENTRY in context


def as_the_consumer_sees(context: Context) -> Context:
    """Return *context* without the blocks of generators that wait for their consumer."""
    entry = context.get(_ENTRY)
    while isinstance(entry, _Entry):
        if entry.body is not None and entry.body.is_waiting():
            context = _without(context, entry)
        entry = entry.before.get(_ENTRY)
    return context


def _without(context: Context, gone: _Entry) -> Context:
    """Return *context* as it would be had the block of *gone* never been entered.

    Blocks entered since, and what else was attached since, stay as they are.
    """
    undone = dict(gone.changes)
    entry: object = context.get(_ENTRY)
    if not isinstance(entry, _Entry):
        return context
    if entry is gone:
        above: object = gone.before.get(_ENTRY, ABSENT)
    else:
        above = replace(entry, before=_without(entry.before, gone))
        while isinstance(entry, _Entry) and entry is not gone:
            for key in entry.changes:
                undone.pop(key, None)
            entry = entry.before.get(_ENTRY)
    back = {key: gone.before.get(key, ABSENT) for key in undone}
    return changed(context, {**back, _ENTRY: above})


class Block:
    """A piece of code in which the context is another: ``with``, ``async with`` or a decorator.

    A block keeps nothing about its entries on itself, so that one object can be entered many
    times: again inside itself, and in any number of tasks and threads at once. What has to be
    undone is kept where it was done: in the context that was entered.
    """

    __slots__ = ()

    def _changes(self) -> Changes:
        """Return what is different in the context inside the block."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self._enter(sys._getframe(1))  # noqa: SLF001 - documented, and the only way

    def _enter(self, frame: FrameType) -> Self:
        before = _pruned(get_current())
        changes = self._changes()
        body = body_of(frame)
        if body is not None:
            changes = {**changes, IN_A_BODY: True}
        attach(inside(before, {**changes, _ENTRY: _Entry(self, changes, before, body)}))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        current = get_current()
        innermost = entry = current.get(_ENTRY)
        while isinstance(entry, _Entry) and entry.block is not self:
            entry = entry.before.get(_ENTRY)
        if not isinstance(entry, _Entry):
            # Left in another context than it was entered in: there is nothing to undo here.
            if body := body_of(sys._getframe(1)):  # noqa: SLF001 - as above
                body.warn("each of its steps runs in a context of its own")
            return
        entry.left = True
        # Out of order where blocks entered since are still open, as in a forgotten generator.
        attach(entry.before if entry is innermost else _without(current, entry))

    async def __aenter__(self) -> Self:
        return self._enter(sys._getframe(1))  # noqa: SLF001 - as above

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc_value, traceback)

    def __call__(self, function: F) -> F:
        """Decorate a function, coroutine function, generator or asynchronous generator."""
        from clew.decorating import decorated  # noqa: PLC0415 - wrapt is loaded by its users only

        return decorated(function, lambda *_: inside(get_current(), self._changes()))
