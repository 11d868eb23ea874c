"""DSPy: ``uninstrument`` removes DSPy's own decorators together with upstream's wrappers.

Upstream's ``unwrap_object`` follows ``__wrapped__`` to the end of the chain, through DSPy's own
``with_callbacks`` decorator: afterwards no callback of the application is called. The repair puts
back what was there before, one step down the chain; also where ``instrument`` raises half-way.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import unwrap
from typing import Any

from wrapt import resolve_path

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")


@contextmanager
def around_instrument(instrumentor: Any) -> Iterator[None]:
    """If ``instrument`` raises, remove the wrappers that it has put on until then."""
    try:
        yield
    except BaseException:
        repair(instrumentor)()
        raise


def repair(instrumentor: Any) -> Callable[[], None]:
    """Remember each wrapper and where it is."""
    patched = []
    for module, path in instrumentor._originals:  # The only list of the patches
        parent, attribute, wrapper = resolve_path(module, path)
        patched.append((parent, attribute, wrapper))

    def restore() -> None:
        for parent, attribute, wrapper in reversed(patched):
            if vars(parent).get(attribute) is not wrapper:
                continue  # Another library has wrapped it since, and its wrapper has to stay.
            original = wrapper.__wrapped__
            # It was inherited, perhaps with another repair's wrapper around it.
            if any(_same(original, vars(base).get(attribute)) for base in parent.__mro__[1:]):
                delattr(parent, attribute)
            else:
                setattr(parent, attribute, original)
        instrumentor._originals.clear()  # Nothing is left for upstream to unwrap

    return restore


def _same(one: Any, other: Any) -> bool:
    return other is not None and unwrap(one) is unwrap(other)
