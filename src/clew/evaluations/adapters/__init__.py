"""Adapters: evaluators, metrics and scorers of other packages, run on the sessions of a store.

from clew.evaluations.adapters import from_phoenix_evals
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clew.evaluations.adapters.autoevals import from_autoevals as from_autoevals
    from clew.evaluations.adapters.deepeval import from_deepeval as from_deepeval
    from clew.evaluations.adapters.phoenix_evals import from_phoenix_evals as from_phoenix_evals

__all__ = ["from_autoevals", "from_deepeval", "from_phoenix_evals"]


def __getattr__(name: str) -> Any:
    """Import what is used, and nothing before."""
    from importlib import import_module

    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{name.removeprefix('from_')}"), name)


def __dir__() -> list[str]:
    return [*__all__]
