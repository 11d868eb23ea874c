"""Keeps the ids where Logfire carries a context as headers within one process.

``logfire.get_context()`` writes the trace's ids into a dictionary, as for the headers of a request,
and ``attach_context()`` starts an empty context with them. Logfire itself does so for the span
that it makes when a streamed answer ends, and for what runs in a thread pool. Session and user are
not written into headers that may go to anybody, and so were missing there. They are kept in an
attribute of the dictionary instead: a copy of its items, or a pickle of it, does not have them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry.context import Context, attach, get_current
from opentelemetry.util.types import AttributeValue

from clew.context.lookup import find_attributes
from clew.core.containment import contain
from clew.patching.undo import UndoStack
from clew.patching.wrap import Patches

_MODULES = (
    "logfire.propagate",
    "logfire",
    "logfire._internal.integrations.executors",
    "logfire._internal.integrations.llm_providers.llm_provider",
)
"""The modules of Logfire that define the two functions, or import them."""


def instrument_logfire(undo: UndoStack) -> None:
    """Keep the ids with each context that Logfire carries.

    A module that imported a function which is wrapped already gets another wrapper around it,
    which finds the ids kept already, and does no harm.
    """
    patches = Patches()
    undo.add(patches.undo)
    for module in _MODULES:
        for name, wrapper in _WRAPPERS.items():
            patches.wrap(module, name, wrapper)


class _Carrier(dict[str, Any]):
    """The dictionary that Logfire wrote, and the ids of the context that it was written from."""

    ids: dict[str, AttributeValue]

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        """Pickle and copy as the dictionary alone: the ids stay in this process."""
        return dict, (dict(self),)


def _get_context(
    wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    carrier = wrapped(*args, **kwargs)
    try:
        found = find_attributes()
        ids = {key: it for key, it in found.attributes.items() if key not in found.inherited}
        if ids and type(carrier) is dict:
            carrier = _Carrier(carrier)
            carrier.ids = ids
    except Exception:
        contain("keeping the ids of a context of Logfire's")
    return carrier


def _attach_context(
    wrapped: Callable[..., AbstractContextManager[None]],
    _: object,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> AbstractContextManager[None]:
    carrier = args[0] if args else kwargs.get("carrier")
    attached = wrapped(*args, **kwargs)
    return _with_ids(attached, carrier.ids) if isinstance(carrier, _Carrier) else attached


@contextmanager
def _with_ids(attached: AbstractContextManager[None], ids: dict[str, Any]) -> Iterator[None]:
    with attached:
        attach(Context({**get_current(), **ids}))  # Logfire restores the whole context before.
        yield


_WRAPPERS = {"get_context": _get_context, "attach_context": _attach_context}
