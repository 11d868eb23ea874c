"""Blocks: ``with``, ``async with`` and decorators that change the OpenTelemetry context.

What is known of an entry into a block is kept in the context that was entered. So it goes where
that context goes, is undone where it was done, and is always in step with it.

One rule says which entries apply: all that are open, except those of a generator's body that is not
on the stack. Where such a body is resumed, its own apply over what its consumer has entered.
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from opentelemetry.context import Context, attach, get_current

from clew.context.generator_bodies import (
    BlockEntry,
    OpenBodies,
    find_body,
    warn_inexact,
)
from clew.context.generators import GeneratorFrame, find_generator
from clew.context.request import IN_BLOCK, with_request_context
from clew.context.request_span import add_ids_to_request_span

F = TypeVar("F", bound=Callable[..., Any])

OPEN_BODIES = "clew.open-bodies"
"""The context key of the `OpenBodies`, where a block was entered in a generator's body."""

ABSENT = object()
"""Stands in `Changes` for: the context has no such key."""

Changes = Mapping[str, object]


class _StackItem(NamedTuple):
    """The innermost block of a context, and the context without it."""

    entry: BlockEntry
    before: Context


_CAPTURED = _StackItem(BlockEntry(None, {}), Context())
"""Stands for the blocks of a context that was captured: nobody can leave them there."""


def with_changes(context: Context, changes: Changes) -> Context:
    """Return *context* with *changes*; a key whose value is ABSENT is removed."""
    values = {**context, **changes}
    return Context({key: value for key, value in values.items() if value is not ABSENT})


def context_inside(context: Context, changes: Changes) -> Context:
    """Return the context inside a block with *changes*; give its ids to the request's span."""
    context = with_changes(context, changes)
    add_ids_to_request_span(context, changes)
    return context


def capture_context() -> Context:
    """Return the current context for later use elsewhere: what applies now, for good."""
    context = with_request_context(get_current())
    if OPEN_BODIES not in context:
        return context
    context = resolve_context(context)
    top = _CAPTURED if IN_BLOCK in context else ABSENT
    return with_changes(context, {IN_BLOCK: top, OPEN_BODIES: ABSENT})


def resolve_context(context: Context) -> Context:
    """Return *context* with only those of the generators' blocks that apply here and now."""
    open_bodies = context.get(OPEN_BODIES)
    if not isinstance(open_bodies, OpenBodies):
        return context
    stack, running = _stack(context), open_bodies.running()
    suspended = [item.entry for item in stack if not item.entry.applies(running)]
    if suspended:
        context = _without(context, stack, set(suspended))
    in_context = {item.entry for item in stack} if running else ()
    for body in running:
        for entry in [entry for entry in body.entries if entry not in in_context]:
            context = with_changes(context, {**entry.changes, IN_BLOCK: _StackItem(entry, context)})
    return context


def _stack(context: Context) -> list[_StackItem]:
    """Return the entries of *context*, the innermost first."""
    stack = []
    item = context.get(IN_BLOCK)
    while isinstance(item, _StackItem):
        stack.append(item)
        item = item.before.get(IN_BLOCK)
    return stack


def _without(
    context: Context, stack: Sequence[_StackItem], removed: Collection[BlockEntry]
) -> Context:
    """Return *context* as it would be had the blocks *removed* never been entered.

    Blocks entered since, and what else was attached since, stay as they are.
    """
    lowest = max(index for index, item in enumerate(stack) if item.entry in removed)
    undone: dict[str, tuple[object, object]] = {}
    top = stack[lowest].before.get(IN_BLOCK, ABSENT)
    for entry, before in reversed(stack[: lowest + 1]):
        without = _undo(before, undone, top)
        if entry in removed:
            undone |= {k: (v, without.get(k, ABSENT)) for k, v in entry.changes.items()}
        else:
            undone = {k: v for k, v in undone.items() if k not in entry.changes}
            top = _StackItem(entry, without)
    return _undo(context, undone, top)


def _undo(context: Context, undone: Mapping[str, tuple[object, object]], top: object) -> Context:
    """Return *context* with the values from before, where nobody has set another one since."""
    restored = {
        key: before for key, (value, before) in undone.items() if context.get(key, ABSENT) is value
    }
    return with_changes(context, {**restored, IN_BLOCK: top})


def _cleaned(context: Context) -> Context:
    """Return *context* as it applies now, without anything of blocks that are over."""
    open_bodies = context.get(OPEN_BODIES)
    if isinstance(open_bodies, OpenBodies):
        context = resolve_context(context)
        if not open_bodies.any_open():
            context = with_changes(context, {OPEN_BODIES: ABSENT})
    # A task that starts the next one inside a block, and so on, would keep all entries alive.
    top: Any = context.get(IN_BLOCK)
    if top is None or not top.entry.left:
        return context
    while top is not ABSENT and top.entry.left:
        top = top.before.get(IN_BLOCK, ABSENT)
    return with_changes(context, {IN_BLOCK: top})


class Block:
    """A piece of code with a changed context: ``with``, ``async with`` or a decorator.

    A block stores nothing about its entries on itself, so one object can be entered many times:
    again inside itself, and in any number of tasks and threads at once. What has to be undone is
    stored in the context that was entered.
    """

    __slots__ = ()

    def _changes(self) -> Changes:
        """Return what the block changes in the context."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self._enter(sys._getframe(1))

    def _enter(self, frame: FrameType) -> Self:
        before = _cleaned(with_request_context(get_current()))
        entry = BlockEntry(self, self._changes())
        changes = {**entry.changes, IN_BLOCK: _StackItem(entry, before)}
        if (generator := find_generator(frame)) is not None:
            known: Any = before.get(OPEN_BODIES)
            open_bodies = known if isinstance(known, OpenBodies) else None
            changes[OPEN_BODIES] = entry.add_to_body(generator, open_bodies)
        attach(context_inside(before, changes))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(sys._getframe(1))

    def _leave(self, frame: FrameType) -> None:
        current, generator = get_current(), find_generator(frame)
        top: Any = current.get(IN_BLOCK)
        open_bodies = current.get(OPEN_BODIES)
        if generator is None and open_bodies is None and top and top.entry.block is self:
            top.entry.left = True  # As nearly always.
            before = top.before
            attach(before if OPEN_BODIES not in before else _cleaned(before))
            return
        entry = self._find_entry(current, generator)
        if generator is not None:
            body = None if entry is None else entry.body
            known = isinstance(open_bodies, OpenBodies) and body and open_bodies.includes(body)
            if not known:
                line = generator.line if entry is None or body is None else entry.line
                warn_inexact(line, "each of its steps runs in a context of its own")
        if entry is None:
            return  # Left in another context than it was entered in: there is nothing to undo.
        entry.leave()
        if entry.body is None and top and top.entry is entry:
            after = top.before
            if isinstance(open_bodies, OpenBodies) and after.get(OPEN_BODIES) is not open_bodies:
                # For generators begun inside the block.
                after = with_changes(after, {OPEN_BODIES: open_bodies})
        else:
            # What was attached since stays: in a generator's body it may be the consumer's.
            stack = _stack(current)
            in_context = any(item.entry is entry for item in stack)
            after = _without(current, stack, {entry}) if in_context else current
        after = _cleaned(after)
        if after is not current:
            attach(after)

    def _find_entry(self, current: Context, generator: GeneratorFrame | None) -> BlockEntry | None:
        """Return the entry into this block that is left by *generator*, or by a plain function."""
        body = None if generator is None else find_body(generator)
        if body is not None:
            for entry in reversed(body.entries):
                if entry.block is self:
                    return entry
        item = current.get(IN_BLOCK)
        of_a_body = None
        while isinstance(item, _StackItem):
            if item.entry.block is self:
                if item.entry.body is None:
                    return item.entry
                of_a_body = of_a_body or item.entry
            item = item.before.get(IN_BLOCK)
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
        from clew.context.decorators import decorate  # Only decorators need wrapt.

        return decorate(function, lambda *_: context_inside(capture_context(), self._changes()))
