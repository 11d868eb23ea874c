"""DSPy: ``uninstrument`` strips DSPy's own decorators with its wrappers.

Upstream's ``unwrap_object`` follows ``__wrapped__`` to the end of the chain, through the
``with_callbacks`` decorator of DSPy itself: afterwards no callback of the application fires.
The repair puts back what stood there before, one step down the chain; also where ``instrument``
raises half-way.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import unwrap
from typing import Any

from wrapt import resolve_path

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")


@contextmanager
def instrumenting(instrumentor: Any) -> Iterator[None]:
    """Take the wrappers off again that were put on before ``instrument`` raised."""
    try:
        yield
    except BaseException:
        repair(instrumentor)()
        raise


def repair(instrumentor: Any) -> Callable[[], None]:
    """Remember what each wrapper stands before."""
    patched = []
    for module, path in instrumentor._originals:  # The only list of the patches
        parent, attribute, wrapper = resolve_path(module, path)
        patched.append((parent, attribute, wrapper))

    def restore() -> None:
        for parent, attribute, wrapper in reversed(patched):
            if vars(parent).get(attribute) is not wrapper:
                continue  # Somebody else wrapped it since; taking theirs away is not ours to do.
            original = wrapper.__wrapped__
            # Inherited, also where another repair has a wrapper of its own around it.
            if any(_is(original, vars(base).get(attribute)) for base in parent.__mro__[1:]):
                delattr(parent, attribute)
            else:
                setattr(parent, attribute, original)
        instrumentor._originals.clear()  # Nothing is left for upstream to strip

    return restore


def _is(one: Any, other: Any) -> bool:
    return other is not None and unwrap(one) is unwrap(other)
