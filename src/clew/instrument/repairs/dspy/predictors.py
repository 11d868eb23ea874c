"""DSPy: a ``class Mine(dspy.Predict)`` breaks the instrumentor, or has no span of its own.

Upstream looks up every subclass of ``Predict`` by its name in the package ``dspy``, so it raises if
an application has one, and leaves half of its patches in place. Of subclasses defined later it
wraps no ``forward``, and it treats one without a ``forward`` of its own as if it had one. The
repair hides the subclasses from it, puts upstream's wrapper around each ``forward``, and makes a
span only for the outermost.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import unwrap
from typing import Any

from clew.core.containment import contain
from clew.patching.undo import UndoStack
from clew.patching.wrap import wrap_functions, wrap_with_subclasses

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")

_WRAPPERS = {"forward": "_PredictForwardWrapper", "aforward": "_PredictAforwardWrapper"}


@contextmanager
def around_instrument(_instrumentor: Any) -> Iterator[None]:
    """Hide the subclasses from upstream while it is activated."""
    from dspy import Predict

    owner: Any = Predict
    owner.__subclasses__ = classmethod(lambda _cls: [])
    try:
        yield
    finally:
        del owner.__subclasses__


def repair(instrumentor: Any) -> Callable[[], None]:
    """Wrap each ``forward``, and make a span only for the outermost one."""
    from dspy import Predict
    from openinference.instrumentation import dspy as upstream

    tracer = instrumentor._tracer  # The tracer it was activated with
    wrappers = {name: getattr(upstream, cls)(tracer) for name, cls in _WRAPPERS.items()}
    unwrap_predictors = wrap_with_subclasses(Predict, wrappers)
    unwrap_upstream = wrap_functions(
        "openinference.instrumentation.dspy",
        {f"{cls}.__call__": _only_outermost(name, Predict) for name, cls in _WRAPPERS.items()},
    )
    return UndoStack("unwrapping DSPy's classes", unwrap_predictors, unwrap_upstream).undo


def _only_outermost(name: str, predict: Any) -> Callable[..., Any]:
    def wrapper(wrapped: Any, _instance: Any, args: Any, _kwargs: Any) -> Any:
        method, predictor, method_args, method_kwargs = args
        try:
            forward = method
            if type(predictor) is not predict:
                forward = _as_outermost(method, type(predictor), name)
        except Exception:
            contain("finding the outermost method of a predictor")
            forward = None
        if forward is None:
            return method(*method_args, **method_kwargs)
        return wrapped(forward, predictor, method_args, method_kwargs)

    return wrapper


def _as_outermost(method: Any, cls: Any, name: str) -> Callable[..., Any] | None:
    """Return *method* renamed so that upstream traces it, or None if another one is outermost."""
    if _function(getattr(cls, name)) is not _function(method):
        return None

    @wraps(method)
    def forward(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    # By this name upstream distinguishes an override from the method of ``Predict``.
    forward.__qualname__ = f"{cls.__qualname__}.{name}"
    return forward


def _function(method: Any) -> Any:
    return unwrap(getattr(method, "__func__", method))
