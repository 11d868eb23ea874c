"""DSPy: the worker thread of ``Embeddings`` runs every search in the session of its creator.

``Unbatchify`` queues the calls of all threads, and one thread, started when the object was created,
processes them in batches. The repair starts that thread in no session, passes each call's context
along with it, and processes a batch once for each session in it.
"""

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context, attach, detach, get_current

from clew.context.lookup import find_attributes
from clew.patching.wrap import Patches, wrap_functions

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")

_MODULE = "dspy.utils.unbatchify"
_REPAIRED = "_clew_repaired"

_call_patches: list[Patches] = []
"""The wrapper of ``__call__``, once there is one. It is never removed: workers that were created
while the repair was active expect a context with each call. It changes nothing for others."""


class _ItemWithContext:
    """The input of one call, with the context in which the call was made."""

    __slots__ = ("context", "item", "session")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.context = get_current()
        self.session = tuple(sorted(map(str, find_attributes().attributes.items())))


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Pass the context of each call to the worker thread."""
    from dspy.utils.unbatchify import Unbatchify

    if not _call_patches:
        patches = Patches()
        patches.wrap_now([(Unbatchify, "__call__", _pass_context)])
        _call_patches.append(patches)
    return wrap_functions(_MODULE, {"Unbatchify.__init__": _start_without_session})


def _start_without_session(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> None:
    def init(batch_fn: Any, *args: Any, **kwargs: Any) -> None:
        wrapped(_by_session(batch_fn), *args, **kwargs)

    setattr(instance, _REPAIRED, True)
    token = attach(Context())
    try:
        init(*args, **kwargs)
    finally:
        detach(token)


def _pass_context(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if not getattr(instance, _REPAIRED, False):
        return wrapped(*args, **kwargs)

    def call(input_item: Any) -> Any:
        return wrapped(_ItemWithContext(input_item))

    return call(*args, **kwargs)


def _by_session(
    batch_fn: Callable[[list[Any]], Any],
) -> Callable[[list[_ItemWithContext]], list[Any]]:
    def process(batch: list[_ItemWithContext]) -> list[Any]:
        outputs: list[Any] = [None] * len(batch)
        for session in dict.fromkeys(it.session for it in batch):
            indexes = [index for index, it in enumerate(batch) if it.session == session]
            token = attach(batch[indexes[0]].context)
            try:
                results = batch_fn([batch[index].item for index in indexes])
            finally:
                detach(token)
            for index, output in zip(indexes, results, strict=False):
                outputs[index] = output
        return outputs

    return process
