"""DSPy: the worker thread of ``Embeddings`` runs every search in the session of its creator.

``Unbatchify`` queues the calls of all threads, and one thread, started when the object was created,
processes them in batches. The repair starts that thread in no session, has the queue pass the
context of each call along with it, and processes a batch once for each session in it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from opentelemetry.context import Context, attach, detach, get_current

from clew.context.lookup import find_attributes
from clew.core.containment import contain
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")

_MODULE = "dspy.utils.unbatchify"


class _ItemWithContext:
    """The input of one call, with the context in which the call was made."""

    __slots__ = ("context", "item", "session")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.context = get_current()
        self.session = tuple(sorted(map(str, find_attributes().attributes.items())))


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Pass the context of each call to the worker thread.

    Workers that are created while the repair is active keep what they were given: the rest of
    their life they expect a context with each call, and their own queue adds it.
    """
    return wrap_functions(_MODULE, {"Unbatchify.__init__": _start_without_session})


def _start_without_session(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> None:
    def init(batch_fn: Any, *args: Any, **kwargs: Any) -> None:
        wrapped(_by_session(batch_fn), *args, **kwargs)

    token = attach(Context())
    try:
        init(*args, **kwargs)
    finally:
        detach(token)
    try:
        queue = instance.input_queue
        queue.put = partial(_put_with_context, queue.put)
    except Exception:  # Its calls are processed all the same, in no session.
        contain("passing the context to a worker of DSPy's")


def _put_with_context(put: Callable[..., None], call: Any, *args: Any, **kwargs: Any) -> None:
    item, future = call
    put((_ItemWithContext(item), future), *args, **kwargs)


def _by_session(batch_fn: Callable[[list[Any]], Any]) -> Callable[[list[Any]], list[Any]]:
    def process(items: list[Any]) -> list[Any]:
        batch = [it if isinstance(it, _ItemWithContext) else _ItemWithContext(it) for it in items]
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
