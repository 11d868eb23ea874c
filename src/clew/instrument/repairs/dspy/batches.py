"""DSPy: the worker behind ``Embeddings`` searches for everybody in its maker's session.

``Unbatchify`` puts the calls of all threads into one queue, and one thread, begun when it was made,
works them off in batches. The repair begins that thread in no session, lets each call bring its
context along, and has a batch worked off once for each session that is in it.
"""

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context, attach, detach, get_current

from clew.context.api import carried
from clew.patching.wrap import Patches, wrap_functions

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")

_MODULE = "dspy.utils.unbatchify"
_MENDED = "_clew_mended"

_calls: list[Patches] = []
"""The wrapper of ``__call__``, once it is on. It stays on: the workers of those that were made
meanwhile expect a context with each call. It changes nothing for others."""


class _Brought:
    """One call's input, with the context that the call was made in."""

    __slots__ = ("context", "item", "session")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.context = get_current()
        self.session = tuple(sorted(map(str, carried().attributes.items())))


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Let each call bring its context along."""
    from dspy.utils.unbatchify import Unbatchify

    if not _calls:
        patches = Patches()
        patches.wrap_now([(Unbatchify, "__call__", _call)])
        _calls.append(patches)
    return wrap_functions(_MODULE, {"Unbatchify.__init__": _init})


def _init(wrapped: Any, instance: Any, arguments: Any, named: Any) -> None:
    def begin(batch_fn: Any, *others: Any, **options: Any) -> None:
        wrapped(_by_session(batch_fn), *others, **options)

    setattr(instance, _MENDED, True)
    token = attach(Context())
    try:
        begin(*arguments, **named)
    finally:
        detach(token)


def _call(wrapped: Any, instance: Any, arguments: Any, named: Any) -> Any:
    if not getattr(instance, _MENDED, False):
        return wrapped(*arguments, **named)

    def bring(input_item: Any) -> Any:
        return wrapped(_Brought(input_item))

    return bring(*arguments, **named)


def _by_session(batch_fn: Callable[[list[Any]], Any]) -> Callable[[list[_Brought]], list[Any]]:
    def work_off(batch: list[_Brought]) -> list[Any]:
        outputs: list[Any] = [None] * len(batch)
        for session in dict.fromkeys(it.session for it in batch):
            places = [place for place, it in enumerate(batch) if it.session == session]
            token = attach(batch[places[0]].context)
            try:
                found = batch_fn([batch[place].item for place in places])
            finally:
                detach(token)
            for place, output in zip(places, found, strict=False):
                outputs[place] = output
        return outputs

    return work_off
