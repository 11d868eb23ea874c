"""Blocks: ``with``, ``async with`` and decorators that change the OpenTelemetry context.

What is known of an entry into a block is kept in the context that was entered. So it goes where
that context goes, is undone where it was done, and never falls out of step with it.

One rule says which entries apply: all that are open, except those of a generator's body that is not
on the stack; and where such a body is resumed, its own apply over what its consumer has entered.
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from opentelemetry.context import Context, attach, get_current

from clew.context.generator_bodies import Home, Opened, Place, known_body, place_of, warn
from clew.context.request_span import tell_root

F = TypeVar("F", bound=Callable[..., Any])

IN_A_BODY = "clew.in-a-body"
"""In a context in which a block was entered in a generator's body: the `Home` of such bodies."""

_ENTRY = "clew.entry"
ABSENT = object()
Changes = Mapping[str, object]


class _Entry(NamedTuple):
    """The innermost block of a context, and the context without it."""

    opened: Opened
    before: Context


_CAPTURED = _Entry(Opened(None, {}), Context())
"""Stands for the blocks of a context that was captured: nobody can leave them there."""


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


def captured() -> Context:
    """Return the current context for later use elsewhere: what applies now, for good."""
    context = get_current()
    if IN_A_BODY not in context:
        return context
    context = as_it_applies(context)
    entry = _CAPTURED if _ENTRY in context else ABSENT
    return changed(context, {_ENTRY: entry, IN_A_BODY: ABSENT})


def as_it_applies(context: Context) -> Context:
    """Return *context* with the generators' blocks that apply here and now, and no other ones."""
    home = context.get(IN_A_BODY)
    if not isinstance(home, Home):
        return context
    entries, running = _entries(context), home.running()
    gone = [entry.opened for entry in entries if not entry.opened.applies(running)]
    if gone:
        context = _without(context, entries, set(gone))
    there = {entry.opened for entry in entries} if running else ()
    for body in running:
        for opened in [opened for opened in body.opened if opened not in there]:
            context = changed(context, {**opened.changes, _ENTRY: _Entry(opened, context)})
    return context


def _entries(context: Context) -> list[_Entry]:
    """Return the entries of *context*, the innermost first."""
    found = []
    entry = context.get(_ENTRY)
    while isinstance(entry, _Entry):
        found.append(entry)
        entry = entry.before.get(_ENTRY)
    return found


def _without(context: Context, entries: Sequence[_Entry], gone: Collection[Opened]) -> Context:
    """Return *context* as it would be had the blocks *gone* never been entered.

    Blocks entered since, and what else was attached since, stay as they are.
    """
    lowest = max(index for index, entry in enumerate(entries) if entry.opened in gone)
    undone: dict[str, tuple[object, object]] = {}
    above = entries[lowest].before.get(_ENTRY, ABSENT)
    for opened, before in reversed(entries[: lowest + 1]):
        without = _undo(before, undone, above)
        if opened in gone:
            undone |= {k: (v, without.get(k, ABSENT)) for k, v in opened.changes.items()}
        else:
            undone = {k: v for k, v in undone.items() if k not in opened.changes}
            above = _Entry(opened, without)
    return _undo(context, undone, above)


def _undo(context: Context, undone: Mapping[str, tuple[object, object]], entry: object) -> Context:
    """Return *context* with the values from before, where nobody has set another one since."""
    back = {
        key: instead
        for key, (value, instead) in undone.items()
        if context.get(key, ABSENT) is value
    }
    return changed(context, {**back, _ENTRY: entry})


def _settled(context: Context) -> Context:
    """Return what is to be current: *context* as it applies, and no trace of what is over."""
    home = context.get(IN_A_BODY)
    if isinstance(home, Home):
        context = as_it_applies(context)
        if not home.any_open():
            context = changed(context, {IN_A_BODY: ABSENT})
    # A task that starts the next one inside a block, and so on, would keep all entries alive.
    top: Any = context.get(_ENTRY)
    if top is None or not top.opened.left:
        return context
    while top is not ABSENT and top.opened.left:
        top = top.before.get(_ENTRY, ABSENT)
    return changed(context, {_ENTRY: top})


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
        return self._enter(sys._getframe(1))

    def _enter(self, frame: FrameType) -> Self:
        before = _settled(get_current())
        opened = Opened(self, self._changes())
        changes = {**opened.changes, _ENTRY: _Entry(opened, before)}
        if (place := place_of(frame)) is not None:
            home = before.get(IN_A_BODY)
            changes[IN_A_BODY] = opened.belong_to(place, home if isinstance(home, Home) else None)
        attach(inside(before, changes))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(sys._getframe(1))

    def _leave(self, frame: FrameType) -> None:
        current, place = get_current(), place_of(frame)
        innermost: Any = current.get(_ENTRY)
        home = current.get(IN_A_BODY)
        if place is None and home is None and innermost and innermost.opened.block is self:
            innermost.opened.left = True  # As nearly always.
            before = innermost.before
            attach(before if IN_A_BODY not in before else _settled(before))
            return
        opened = self._opened(current, place)
        if place is not None:
            body = None if opened is None else opened.body
            if body is None or not isinstance(home, Home) or not home.knows(body):
                line = place.line if opened is None or body is None else opened.line
                warn(line, "each of its steps runs in a context of its own")
        if opened is None:
            return  # Left in another context than it was entered in: there is nothing to undo.
        opened.leave()
        if opened.body is None and innermost and innermost.opened is opened:
            left = innermost.before
            if isinstance(home, Home) and left.get(IN_A_BODY) is not home:
                left = changed(left, {IN_A_BODY: home})  # For generators begun inside the block.
        else:
            # What was attached since stays: in a generator's body it may be the consumer's.
            entries = _entries(current)
            there = any(entry.opened is opened for entry in entries)
            left = _without(current, entries, {opened}) if there else current
        left = _settled(left)
        if left is not current:
            attach(left)

    def _opened(self, current: Context, place: Place | None) -> Opened | None:
        """Return which of the entries into this block is left by the body at *place*, or here."""
        body = None if place is None else known_body(place)
        if body is not None:
            for opened in reversed(body.opened):
                if opened.block is self:
                    return opened
        entry = current.get(_ENTRY)
        of_a_body = None
        while isinstance(entry, _Entry):
            if entry.opened.block is self:
                if entry.opened.body is None:
                    return entry.opened
                of_a_body = of_a_body or entry.opened
            entry = entry.before.get(_ENTRY)
        return of_a_body

    async def __aenter__(self) -> Self:
        return self._enter(sys._getframe(1))

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(sys._getframe(1))

    def __call__(self, function: F) -> F:
        """Decorate a function, coroutine function, generator or asynchronous generator."""
        from clew.context.decorators import decorated  # wrapt is loaded by its users only

        return decorated(function, lambda *_: inside(captured(), self._changes()))
