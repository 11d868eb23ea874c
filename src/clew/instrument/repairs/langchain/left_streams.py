"""LangChain: a stream that is abandoned half-way ends as an error, ``GeneratorExit``.

LangChain reports a reader that stops early like any other exception, and upstream records it as an
error, in the span of the model and in those of all chains around it. Nothing has failed, so the
repair leaves the status unset and records no exception.
"""

from collections.abc import Callable
from typing import Any

from clew.core.containment import contain
from clew.instrument.repairs.statuses import StatusIgnoringSpan
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-langchain>=0.1.80,<0.2", "langchain-core>=1,<2")

_ABANDONED = repr(GeneratorExit())
"""The beginning of the error text of such a run."""


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Check the error before upstream does."""
    return wrap_functions(
        "openinference.instrumentation.langchain._tracer",
        {"_update_span": _update_span, "_record_exception": _record_exception},
    )


def _update_span(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    new_args = args
    try:
        span, run = args
        if str(run.error or "").startswith(_ABANDONED):
            new_args = (StatusIgnoringSpan(span), run)
    except Exception:
        contain("marking an abandoned stream")
    return wrapped(*new_args, **kwargs)


def _record_exception(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    if isinstance(args[-1], GeneratorExit):
        return None
    return wrapped(*args, **kwargs)
