"""Keeps the ids where Logfire takes a context to another place in the same process.

``logfire.get_context()`` writes the trace's ids into a dictionary, as for the headers of a request,
and ``attach_context()`` begins an empty context with them. Logfire goes that way itself for the
span that it makes when a streamed answer ends, and for what runs in a thread pool. A session and a
user do not go into headers for everybody, and so were missing there. They are remembered beside the
dictionary instead: whoever copies its items, or pickles it, does not get them.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry.context import Context, attach, get_current
from opentelemetry.util.types import AttributeValue
from wrapt import FunctionWrapper, register_post_import_hook

from clew.boundary import contain
from clew.context import carried

_MODULES = (
    "logfire.propagate",
    "logfire",
    "logfire._internal.integrations.executors",
    "logfire._internal.integrations.llm_providers.llm_provider",
)
"""Where Logfire has the two functions, or has imported them to."""

_following = False
_hooked: set[str] = set()


def follow_logfire() -> Callable[[], None]:
    """Remember the ids with each context that Logfire takes along; return what undoes it.

    Logfire is not imported: what it loads later is seen to when it does.
    """
    global _following  # noqa: PLW0603 - an import hook cannot be taken back, only told to do nothing
    _following = True
    for name in _MODULES:
        if (module := sys.modules.get(name)) is not None:
            _wrap(module)
        if name not in _hooked:
            _hooked.add(name)
            register_post_import_hook(_wrap, name)
    return _stop


def _stop() -> None:
    global _following  # noqa: PLW0603 - as above
    _following = False
    for name in _MODULES:
        if (module := sys.modules.get(name)) is not None:
            _unwrap(module)


class _Wrapped(FunctionWrapper):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """One of the two functions, so that nothing else is unwrapped."""


def _wrap(module: Any) -> None:
    """Wrap what *module* has of the two functions. Must not raise: it would fail the import."""
    try:
        if _following:
            _unwrap(module)  # What it imported from a module where it is wrapped already.
            for name, wrapper in _WRAPPERS.items():
                if (original := vars(module).get(name)) is not None:
                    setattr(module, name, _Wrapped(original, wrapper))
    except Exception:  # noqa: BLE001 - the boundary to the application
        contain("following Logfire")


def _unwrap(module: Any) -> None:
    for name in _WRAPPERS:
        if isinstance(wrapped := vars(module).get(name), _Wrapped):
            setattr(module, name, wrapped.__wrapped__)


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
    except Exception:  # noqa: BLE001 - the boundary to the application
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
