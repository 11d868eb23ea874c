"""DSPy: a ``class Mine(dspy.Predict)`` breaks the instrumentor, or has no span of its own.

Upstream looks for every subclass of ``Predict`` by its name in the package ``dspy``, raises where
an application has one, and leaves half of its patches. Of the subclasses that come later it wraps
no ``forward``, and one without a ``forward`` of its own it takes for one that has. The repair hides
the subclasses from it, and has upstream's wrapper put around each ``forward``, whose outermost is
the one that counts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from inspect import unwrap
from typing import Any

from clew.core.containment import contain
from clew.patching.import_hooks import undo_all
from clew.patching.wrap import wrap_functions, wrap_with_subclasses

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")

_WRAPPERS = {"forward": "_PredictForwardWrapper", "aforward": "_PredictAforwardWrapper"}


@contextmanager
def instrumenting(_instrumentor: Any) -> Iterator[None]:
    """Let upstream see no subclass, which it asks for while it is switched on."""
    from dspy import Predict

    owner: Any = Predict
    owner.__subclasses__ = classmethod(lambda _cls: [])
    try:
        yield
    finally:
        del owner.__subclasses__


def repair(instrumentor: Any) -> Callable[[], None]:
    """Wrap each ``forward``, and let the outermost one have the span."""
    from dspy import Predict
    from openinference.instrumentation import dspy as upstream

    tracer = instrumentor._tracer  # The tracer it was switched on with
    wrappers = {name: getattr(upstream, kind)(tracer) for name, kind in _WRAPPERS.items()}
    forget = wrap_with_subclasses(Predict, wrappers)
    undo = wrap_functions(
        "openinference.instrumentation.dspy",
        {f"{kind}.__call__": _outermost(name, Predict) for name, kind in _WRAPPERS.items()},
    )
    return partial(undo_all, [forget, undo], "unwrapping DSPy's classes")


def _outermost(name: str, predict: Any) -> Callable[..., Any]:
    def call(upstream: Any, _instance: Any, arguments: Any, _named: Any) -> Any:
        method, predictor, given, named = arguments
        try:
            forward = method
            if type(predictor) is not predict:
                forward = _told_apart(method, type(predictor), name)
        except Exception:
            contain("telling a predictor's methods apart")
            forward = None
        if forward is None:
            return method(*given, **named)
        return upstream(forward, predictor, given, named)

    return call


def _told_apart(method: Any, cls: Any, name: str) -> Callable[..., Any] | None:
    """Return *method* under a name that upstream knows it by, or None if another is outermost."""
    if _function(getattr(cls, name)) is not _function(method):
        return None

    @wraps(method)
    def forward(*given: Any, **named: Any) -> Any:
        return method(*given, **named)

    # By this name upstream tells the method of ``Predict`` from one that overrides it.
    forward.__qualname__ = f"{cls.__qualname__}.{name}"
    return forward


def _function(method: Any) -> Any:
    return unwrap(getattr(method, "__func__", method))
