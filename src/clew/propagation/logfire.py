"""Keeps the ids where Logfire takes a context to another place in the same process.

``logfire.get_context()`` writes the trace's ids into a dictionary, as for the headers of a request,
and ``attach_context()`` begins an empty context with them. Logfire goes that way itself for the
span that it makes when a streamed answer ends, and for what runs in a thread pool. A session and a
user do not go into headers for everybody, and so were missing there. They are remembered beside the
dictionary instead: whoever copies its items, or pickles it, does not get them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry.context import Context, attach, get_current
from opentelemetry.util.types import AttributeValue

from clew.context.api import carried
from clew.core.containment import contain
from clew.patching.wrap import Patches

_MODULES = (
    "logfire.propagate",
    "logfire",
    "logfire._internal.integrations.executors",
    "logfire._internal.integrations.llm_providers.llm_provider",
)
"""Where Logfire has the two functions, or has imported them to."""


def follow_logfire() -> Callable[[], None]:
    """Remember the ids with each context that Logfire takes along; return what undoes it.

    A module that imported a function which is wrapped already gets another wrapper around it,
    which finds the ids remembered, and does no harm.
    """
    patches = Patches(doing="following Logfire in")
    for module in _MODULES:
        for name, wrapper in _WRAPPERS.items():
            patches.wrap(module, name, wrapper)
    return patches.undo


class _Carrier(dict[str, Any]):
    """What Logfire wrote, and the ids of the context that it was written from."""

    ids: dict[str, AttributeValue]

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        """Pickle, and copy, as the dictionary alone: the ids stay in this process."""
        return dict, (dict(self),)


def _get_context(
    original: Callable[..., Any], _: object, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    carrier = original(*arguments, **named)
    try:
        found = carried()
        ids = {key: it for key, it in found.attributes.items() if key not in found.inherited}
        if ids and type(carrier) is dict:
            carrier = _Carrier(carrier)
            carrier.ids = ids
    except Exception:
        contain("remembering the ids of a context of Logfire's")
    return carrier


def _attach_context(
    original: Callable[..., AbstractContextManager[None]],
    _: object,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
) -> AbstractContextManager[None]:
    carrier = arguments[0] if arguments else named.get("carrier")
    attached = original(*arguments, **named)
    return _with_ids(attached, carrier.ids) if isinstance(carrier, _Carrier) else attached


@contextmanager
def _with_ids(attached: AbstractContextManager[None], ids: dict[str, Any]) -> Iterator[None]:
    with attached:
        attach(Context({**get_current(), **ids}))  # Logfire puts the whole context before back.
        yield


_WRAPPERS = {"get_context": _get_context, "attach_context": _attach_context}
